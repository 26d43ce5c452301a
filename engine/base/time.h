// SPDX-License-Identifier: Apache-2.0
// Time is a value: capture time, virtual time and kernel time all become an Instant at the door.
#pragma once

#include <compare>
#include <cstdint>

namespace postern {

struct Duration {
  std::int64_t ns = 0;
  friend constexpr auto operator<=>(const Duration&, const Duration&) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
};

struct Instant {
  std::int64_t ns = 0;  // since an origin that the owner of the clock chooses
  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
  friend constexpr Instant operator+(Instant a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }
};

constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000'000}; }

}  // namespace postern
