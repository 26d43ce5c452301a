// SPDX-License-Identifier: Apache-2.0
// The probe of the machine answers under any rights, and leaves no descriptor behind.
#include "backends/tc/features.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

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

}  // namespace
}  // namespace postern::tc
