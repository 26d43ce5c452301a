// SPDX-License-Identifier: Apache-2.0
// The probe of the machine answers under any rights, and leaves no descriptor behind.
#include "backends/tc/features.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "backends/tc/tc_backend.h"

namespace postern::tc {
namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(Features, AreNamedOnceAndSayWhatWasFound) {
  const std::vector<Feature> features = probe_features();
  std::set<std::string> names;
  for (const Feature& feature : features) {
    EXPECT_TRUE(names.insert(feature.name).second) << feature.name;
    EXPECT_FALSE(feature.detail.empty()) << feature.name;
  }
  EXPECT_TRUE(names.count("kernel") == 1 && names.count("BPF programs") == 1 &&
              names.count("attachment") == 1);
}

TEST(Features, ProbingLeavesNoDescriptorAndPrintsNothing) {
  probe_features();  // what is opened once per process
  const std::size_t before = open_descriptors();
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  probe_features();
  const std::string out = testing::internal::GetCapturedStdout();
  const std::string err = testing::internal::GetCapturedStderr();
  EXPECT_EQ(out, "");
  EXPECT_EQ(err, "");
  EXPECT_EQ(open_descriptors(), before);
}

// In a child that has given up every right: what it found, as an exit code.
int without_rights() {
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 1;
  const Feature bpf = probe_bpf();
  if (bpf.available || bpf.detail.find("CAP_BPF") == std::string::npos) return 2;
  const auto made = TcBackend::make({});
  if (made || made.error().code != ErrorCode::permission) return 3;
  if (made.error().message.find("CAP_BPF, CAP_NET_ADMIN") == std::string::npos) return 4;
  return 0;
}

TEST(Features, WithoutRightsTheMissingOnesAreNamed) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(without_rights());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace postern::tc
