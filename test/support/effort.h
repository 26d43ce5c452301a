// SPDX-License-Identifier: Apache-2.0
// How much a test that draws its cases does: POSTERN_TEST_SCALE multiplies their number (default 1; a
// twentieth below sanitizers, where a case takes ten times as long), POSTERN_TEST_SEED picks the first seed
// (default 1). One pair of variables for every such test, so that the long form is one command.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace postern::test {

inline double scale() {
  const char* text = std::getenv("POSTERN_TEST_SCALE");
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

inline std::uint64_t first_seed() {
  const char* text = std::getenv("POSTERN_TEST_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// `count` cases at the scale asked for, never none.
inline std::uint64_t scaled(std::uint64_t count) {
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * scale())));
}

}  // namespace postern::test
