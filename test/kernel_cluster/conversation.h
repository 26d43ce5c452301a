// SPDX-License-Identifier: Apache-2.0
// Traffic with something to say, over the sockets of two namespaces: what a capture is recorded of.
#pragma once

#include <string>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "sim/netns/netns.h"

namespace postern::sim::testing_support {

struct TalkEnd {
  const Netns* netns = nullptr;
  IpAddress address;
};

struct Talk {
  TalkEnd client;
  TalkEnd server;
  std::uint16_t port = 0;
  std::string request;
  std::string answer;
};

// Whether the answer came, within `patience_ms`. TCP closes in order, both ends.
Result<bool> talk_tcp(const Talk& talk, int patience_ms);
Result<bool> talk_udp(const Talk& talk, int patience_ms);
// Pings with an id, the request as payload; nobody but the kernel answers.
Result<bool> talk_ping(const Talk& talk, std::uint16_t id, int patience_ms);

}  // namespace postern::sim::testing_support
