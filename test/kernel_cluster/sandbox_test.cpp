// SPDX-License-Identifier: Apache-2.0
// What the sandbox promises: the program's status comes through, nothing leads out of it, and nothing
// is left of it when either of its two processes is killed at any moment.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <thread>

#include "engine/base/prng.h"
#include "sim/netns/sandbox.h"
#include "test/kernel_cluster/small_cluster.h"

namespace postern::sim {
namespace {

using testing_support::SmallCluster;
using namespace std::chrono_literals;

constexpr int kNoSandbox = 99;

// Starts a process that enters a sandbox and ends with what the program there returns.
pid_t start_sandboxed(const std::function<int()>& program) {
  const pid_t waiter = ::fork();
  if (waiter == 0) ::_exit(enter_sandbox() ? program() : kNoSandbox);
  return waiter;
}

int status_of(pid_t waiter) {
  int status = 0;
  while (::waitpid(waiter, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

int exit_status_of(const std::function<int()>& program) {
  const int status = status_of(start_sandboxed(program));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The program's process as seen from outside; 0: not there yet, or no longer.
pid_t child_of(pid_t waiter) {
  const std::string task =
      "/proc/" + std::to_string(waiter) + "/task/" + std::to_string(waiter) + "/children";
  pid_t child = 0;
  std::istringstream(text_of(task)) >> child;
  return child;
}

bool gone(pid_t process) {
  const std::string stat = text_of("/proc/" + std::to_string(process) + "/stat");
  const auto name_end = stat.rfind(')');
  return name_end == std::string::npos || stat.at(name_end + 2) == 'Z';
}

std::vector<std::string> interfaces() {
  std::vector<std::string> names;
  struct if_nameindex* const all = ::if_nameindex();
  for (const auto* entry = all; entry != nullptr && entry->if_index != 0; ++entry)
    names.emplace_back(entry->if_name);
  ::if_freenameindex(all);
  std::sort(names.begin(), names.end());
  return names;
}

// Network namespaces that the kernel holds, whoever refers to them; -1: it does not say.
long kernel_namespaces() {
  std::ifstream slabs("/proc/slabinfo");
  for (std::string line; std::getline(slabs, line);) {
    std::string name;
    long active = -1;
    std::istringstream words(line);
    if (words >> name >> active && name == "net_namespace") return active;
  }
  return -1;
}

TEST(SandboxTest, the_exit_status_of_the_program_comes_through) {
  EXPECT_EQ(exit_status_of([] { return 0; }), 0);
  EXPECT_EQ(exit_status_of([] { return 7; }), 7);
}

TEST(SandboxTest, a_program_that_a_signal_ends_exits_with_128_and_its_number) {
  EXPECT_EQ(exit_status_of([]() -> int { __builtin_trap(); }), 128 + SIGILL);
}

TEST(SandboxTest, an_interrupt_is_forwarded_and_ends_the_program) {
  for (const int number : {SIGINT, SIGTERM}) {
    const pid_t waiter = start_sandboxed([] {
      ::sleep(30);
      return 0;
    });
    while (child_of(waiter) == 0) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(50ms);
    ::kill(waiter, number);
    const int status = status_of(waiter);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + number) << number << ": " << status;
  }
}

TEST(SandboxTest, only_loopback_and_no_route_are_inside_and_the_program_is_process_1) {
  const int failed_check = exit_status_of([] {
    if (::getpid() != 1) return 1;
    if (interfaces() != std::vector<std::string>{"lo"}) return 2;
    const std::string routes = text_of("/proc/net/route");
    if (std::count(routes.begin(), routes.end(), '\n') != 1) return 3;  // the heading
    if (text_of("/proc/1/comm") != text_of("/proc/self/comm")) return 4;
    if (std::filesystem::exists("/proc/" + std::to_string(1u << 21))) return 5;
    return 0;
  });
  EXPECT_EQ(failed_check, 0);
}

TEST(SandboxTest, what_the_program_mounts_stays_inside) {
  const std::string before = text_of("/proc/self/mounts");
  EXPECT_EQ(exit_status_of([] { return text_of("/proc/self/mounts").empty() ? 1 : 0; }), 0);
  EXPECT_EQ(text_of("/proc/self/mounts"), before);
}

// Builds a cluster and probes it, over and over.
int busy_program() {
  auto cluster = NetnsCluster::make({});
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2").outside("8.8.8.8");
  for (int i = 1; i <= 6; ++i) {
    small.pod("x/p" + std::to_string(i), i % 2 != 0 ? "n1" : "n2", "10.1.0." + std::to_string(i));
  }
  const std::vector<ProbeRequest> requests(50, small.probe("x/p1", "x/p2", ProbeProtocol::tcp, 80));
  if (!cluster) return 1;
  for (;;) {
    if (!(*cluster)->begin({}) || !(*cluster)->place(small.placement) || !(*cluster)->probe(requests)) {
      return 1;
    }
    if (auto fresh = NetnsCluster::make({})) cluster = std::move(fresh);
  }
}

TEST(SandboxTest, killed_at_any_moment_it_leaves_nothing) {
  constexpr int kRounds = 30;
  constexpr std::uint64_t kSeed = 20;
  const auto links = interfaces();
  const std::string mounts = text_of("/proc/self/mounts");
  const long namespaces = kernel_namespaces();
  Prng random(kSeed);
  for (int round = 0; round < kRounds; ++round) {
    const pid_t waiter = start_sandboxed(busy_program);
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(120'000)));
    const pid_t program = child_of(waiter);
    const bool kill_waiter = program == 0 || random.below(2) == 0;
    ::kill(kill_waiter ? waiter : program, SIGKILL);
    const int status = status_of(waiter);
    if (kill_waiter) EXPECT_TRUE(WIFSIGNALED(status)) << "seed " << kSeed << " round " << round;
    else EXPECT_EQ(WEXITSTATUS(status), 128 + SIGKILL) << "seed " << kSeed << " round " << round;
    const auto limit = std::chrono::steady_clock::now() + 5s;
    while (program != 0 && !gone(program) && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_TRUE(program == 0 || gone(program)) << "seed " << kSeed << " round " << round;
  }
  EXPECT_EQ(interfaces(), links);
  EXPECT_EQ(text_of("/proc/self/mounts"), mounts);
  // Each round made some ten; the kernel's count is a little vague, and others use this machine.
  constexpr long kVague = 60;
  const auto limit = std::chrono::steady_clock::now() + 5s;
  while (kernel_namespaces() > namespaces + kVague && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_LE(kernel_namespaces(), namespaces + kVague);
}

}  // namespace
}  // namespace postern::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  constexpr int kSkipped = 77;
  if (const std::string missing = postern::sim::missing_cluster_rights(); !missing.empty()) {
    std::printf("SKIPPED: the sandbox needs %s\n", missing.c_str());
    return kSkipped;
  }
  return RUN_ALL_TESTS();
}
