// SPDX-License-Identifier: Apache-2.0
#include "agent/http/health_state.h"

#include <utility>

namespace postern::agent {

void HealthState::set(Health& part, Health value) {
  const std::lock_guard lock(mutex_);
  part = std::move(value);
}

void HealthState::beat(Instant now) {
  const std::lock_guard lock(mutex_);
  last_beat_ = now;
}

Health HealthState::alive(Instant now) const {
  const std::lock_guard lock(mutex_);
  if (!alive_.good) return alive_;
  if (last_beat_ != Instant{} && now - last_beat_ > kBeatLimit) {
    const auto silent_s = (now - last_beat_).ns / seconds(1).ns;
    return {false, "the agent's loop has not moved for " + std::to_string(silent_s) + " s"};
  }
  return alive_;
}

Health HealthState::ready(Instant now) const {
  if (Health health = alive(now); !health.good) return health;
  const std::lock_guard lock(mutex_);
  return ready_;
}

}  // namespace postern::agent
