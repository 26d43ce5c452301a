// SPDX-License-Identifier: Apache-2.0
// Runs a property with rapidcheck, at the scale and from the seed of test/support/effort.h. A failure prints
// the smallest case that still fails, the seed and the command that repeats it; RC_PARAMS (rapidcheck's own)
// works too.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>

#include "test/support/effort.h"

namespace postern::property {

using test::first_seed;
using test::scale;
using test::scaled;

// `cases` of the generator's values, each given to `holds`, which returns what is wrong, empty if nothing.
// From the first failure on `holds` is told to look at everything, so that shrinking does not lose it.
template <typename T, typename Holds>
void check(int cases, const rc::Gen<T>& values, Holds holds, std::uint64_t seed = first_seed()) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string name = std::string(info->test_suite_name()) + "." + info->name();
  if (std::getenv("RC_PARAMS") == nullptr) params.seed = seed;
  params.maxSuccess = static_cast<int>(scaled(static_cast<std::uint64_t>(cases)));
  rc::detail::TestMetadata metadata;
  metadata.id = name;
  metadata.description = name;
  bool thorough = false;
  const auto result = rc::detail::checkTestable(
      [&] {
        const T value = *values;
        const std::string wrong = holds(value, thorough);
        if (wrong.empty()) return;
        thorough = true;
        RC_FAIL(wrong);
      },
      metadata, params);
  if (result.template is<rc::detail::SuccessResult>()) return;
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  FAIL() << text.str() << "\nseed " << params.seed << "; repeat: POSTERN_TEST_SEED=" << params.seed
         << " POSTERN_TEST_SCALE=" << scale() << " build/release/bin/" << POSTERN_TEST_PROGRAM
         << " --gtest_filter=" << name;
}

// The same, and what is still `missing` of the distribution at the end, empty if nothing. In a part of the full
// size (a scale below 1) what is rare misses its minimum by luck, so more is drawn, from further seeds, but never
// more than four times as much. The full size is drawn once: what is too rare there is the generator's doing.
template <typename T, typename Holds, typename Missing>
std::string check_until_covered(int cases, const rc::Gen<T>& values, Holds holds, Missing missing) {
  constexpr std::uint64_t kRounds = 4;
  constexpr std::uint64_t kSeedStep = 1000003;  // far from the seeds that people give one after the other
  std::string wanting;
  for (std::uint64_t round = 0; round < (scale() < 1 ? kRounds : 1); ++round) {
    check(cases, values, holds, first_seed() + round * kSeedStep);
    if (testing::Test::HasFatalFailure()) return {};
    wanting = missing();
    if (wanting.empty()) break;
  }
  return wanting;
}

}  // namespace postern::property
