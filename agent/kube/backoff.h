// SPDX-License-Identifier: Apache-2.0
// How long to wait after a failure: 800 ms, doubled each time up to 30 s (or what is given), each stretched
// at random up to twofold so that the nodes of a cluster do not come back together; from the start again
// when two minutes have passed since the last wait began. The figures are those of client-go's reflector.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/prng.h"
#include "engine/base/time.h"

namespace postern::agent::kube {

inline Duration stretched(Duration least, double most_part, Prng& prng) {
  const auto extra = static_cast<std::uint64_t>(static_cast<double>(least.ns) * most_part);
  return least + Duration{static_cast<std::int64_t>(prng.below(extra + 1))};
}

class Backoff {
 public:
  static constexpr Duration kFirst = milliseconds(800);
  static constexpr Duration kMost = seconds(30);
  static constexpr Duration kReset = seconds(120);

  explicit Backoff(Duration most = kMost) : most_(most) {}

  Duration next(Instant now, Prng& prng) {
    if (!last_ || now - *last_ > kReset) base_ = kFirst;
    last_ = now;
    const Duration base = base_;
    base_ = std::min(Duration{base_.ns * 2}, most_);
    return stretched(base, 1.0, prng);
  }

 private:
  Duration most_;
  Duration base_ = kFirst;
  std::optional<Instant> last_;
};

}  // namespace postern::agent::kube
