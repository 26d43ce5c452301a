// SPDX-License-Identifier: Apache-2.0
// Runs a property with rapidcheck. POSTERN_ORACLE_SCALE multiplies the number of cases (default 1; a
// twentieth below sanitizers), POSTERN_ORACLE_SEED is the seed (default 1). A failure prints the smallest
// case that still fails, the seed and the command that repeats it; RC_PARAMS (rapidcheck's own) works too.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>

namespace postern::property {

inline double scale() {
  const char* text = std::getenv("POSTERN_ORACLE_SCALE");
  if (text != nullptr) return std::strtod(text, nullptr);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0.05;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return 0.05;
#endif
#endif
  return 1;
}

inline std::uint64_t seed() {
  const char* text = std::getenv("POSTERN_ORACLE_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// `cases` of the generator's values, each given to `holds`, which returns what is wrong, empty if nothing.
// From the first failure on `holds` is told to look at everything, so that shrinking does not lose it.
template <typename T, typename Holds>
void check(int cases, const rc::Gen<T>& values, Holds holds) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string name = std::string(info->test_suite_name()) + "." + info->name();
  if (std::getenv("RC_PARAMS") == nullptr) params.seed = seed();
  params.maxSuccess = std::max(1, static_cast<int>(cases * scale()));
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
  FAIL() << text.str() << "\nseed " << params.seed << "; repeat: POSTERN_ORACLE_SEED=" << params.seed
         << " POSTERN_ORACLE_SCALE=" << scale() << " build/release/bin/" << POSTERN_TEST_PROGRAM
         << " --gtest_filter=" << name;
}

}  // namespace postern::property
