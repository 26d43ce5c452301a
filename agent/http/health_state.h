// SPDX-License-Identifier: Apache-2.0
// How the agent is, written by its loop and read by the endpoints' threads. Alive: restarting would not
// help. Ready: policy is in force. That the API server is gone changes neither; a loop that stands still
// is not alive, whatever it said last.
#pragma once

#include <mutex>
#include <string>

#include "engine/base/time.h"

namespace postern::agent {

struct Health {
  bool good = false;
  std::string reason;  // why not; empty when good
};

class HealthState {
 public:
  // The loop beats at least this often.
  static constexpr Duration kBeatLimit = seconds(60);

  void set_ready() { set(ready_, {true, ""}); }
  void set_not_ready(std::string reason) { set(ready_, {false, std::move(reason)}); }
  void set_alive() { set(alive_, {true, ""}); }
  void set_not_alive(std::string reason) { set(alive_, {false, std::move(reason)}); }
  // The loop has got to this moment (EventLoop::now()). Until the first beat nobody waits for one.
  void beat(Instant now);

  [[nodiscard]] Health alive(Instant now) const;
  [[nodiscard]] Health ready(Instant now) const;  // alive, too

 private:
  void set(Health& part, Health value);

  mutable std::mutex mutex_;
  Health alive_{true, ""};
  Health ready_{false, "the agent is starting"};
  Instant last_beat_{};  // zero: none yet
};

}  // namespace postern::agent
