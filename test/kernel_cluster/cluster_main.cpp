// SPDX-License-Identifier: Apache-2.0
// main() of the tests that build namespace clusters: the whole program runs in a sandbox, so nothing
// of it is left however it ends. Without the rights it says so and exits 77, which ctest shows as
// skipped.
#include <gtest/gtest.h>

#include <cstdio>

#include "sim/netns/sandbox.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  constexpr int kSkipped = 77;
  const auto inside = postern::sim::enter_sandbox();
  if (!inside) {
    std::printf("SKIPPED: %s\n", inside.error().message.c_str());
    return inside.error().code == postern::ErrorCode::permission ? kSkipped : 1;
  }
  return RUN_ALL_TESTS();
}
