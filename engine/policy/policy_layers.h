// SPDX-License-Identifier: Apache-2.0
// The rules of a pod while its policies are read one by one: what is enforced, and beside it what is in
// audit (R44). In the end what is in audit is seen together with what is enforced, never alone.
#pragma once

#include <array>

#include "engine/policy/resolved_policy.h"

namespace postern {

class PolicyLayers {
 public:
  // Where a policy of the pod says what it says.
  DirectionRules& of(Direction direction, bool audit) {
    return (audit ? in_audit_ : enforced_)[index_of(direction)];
  }
  // The two put together. A direction with nothing in audit has no second list.
  [[nodiscard]] std::array<DirectionPolicy, 2> finish() &&;

 private:
  std::array<DirectionRules, 2> enforced_;
  std::array<DirectionRules, 2> in_audit_;
};

}  // namespace postern
