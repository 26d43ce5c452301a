// SPDX-License-Identifier: Apache-2.0
// Events as the datapath makes them.
#pragma once

#include <cstdint>

#include "engine/abi/event.h"

namespace postern::agent {

// A denied SYN of 10.0.0.5 to 10.0.0.9, port 80, which is endpoint 7 at interface 12.
inline pn_event denied_event(std::uint16_t source_port, double at_s = 1) {
  pn_event event{};
  event.time_ns = static_cast<std::uint64_t>(at_s * 1e9);
  event.ifindex = 12;
  event.endpoint = 7;
  event.step = pn_step_deny(PN_REASON_ISOLATED, 0);
  event.length = 74;
  event.source[0] = event.destination[0] = 10;
  event.source[3] = 5;
  event.destination[3] = 9;
  event.source_port = source_port;
  event.destination_port = 80;
  event.direction = PN_INGRESS;
  event.family = 4;
  event.protocol = 6;
  event.tcp_flags = 2;
  return event;
}

}  // namespace postern::agent
