// SPDX-License-Identifier: Apache-2.0
// main() of every test that needs BPF: without the rights it says so and exits 77, which ctest shows
// as skipped. The whole program runs in a network namespace of its own, so whatever a test makes
// there is gone with the process.
#include <gtest/gtest.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "backends/tc/features.h"

namespace {
constexpr int kSkipped = 77;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const postern::tc::Feature bpf = postern::tc::probe_bpf();
  if (!bpf.available) {
    std::printf("SKIPPED: kernel tests need BPF: %s\n", bpf.detail.c_str());
    return kSkipped;
  }
  if (unshare(CLONE_NEWNET) != 0) {
    std::printf("SKIPPED: kernel tests need a network namespace: %s\n", std::strerror(errno));
    return kSkipped;
  }
  // No router solicitations among the packets that tests count.
  std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << "1";
  return RUN_ALL_TESTS();
}
