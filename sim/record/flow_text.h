// SPDX-License-Identifier: Apache-2.0
// A flow as people and logs write it. Texts, not yet looked up in a cluster.
//
//   shop/web -> shop/db:5432/TCP        ends as `postern explain` takes them; port 5432 or a port's name
//   [fd00::5] -> [fd00::6]:53/UDP       an IPv6 address beside a port stands in brackets
//   203.0.113.7 -> shop/db/ICMP         no port
//   shop/web -> service:shop/db:5432    TCP where no protocol is given
//
// Records of flow logs: the Amazon agent's two lines ("Flow Info: Src IP: …", of both families, bare or in
// its JSON envelope), its CloudWatch message ("Node: …;SIP: …"), and a JSON object with src_ip, src_port,
// dst_ip, dst_port, protocol, and where it has them direction, verdict, ts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/policy/resolve.h"

namespace postern::sim {

struct FlowText {
  std::string from;
  std::string to;
  std::string port;              // number or name; empty: none
  std::string protocol = "TCP";  // "TCP", "UDP", "SCTP", "ICMP", or a number
  // What a log says of it beside.
  std::optional<bool> allowed;
  std::optional<Direction> direction;
  std::string when;
  friend bool operator==(const FlowText&, const FlowText&) = default;
};

// TCP, UDP and SCTP.
bool has_ports(std::uint8_t protocol);

Result<FlowText> parse_flow(std::string_view text);

// One line. Errors name what is missing or not understood.
Result<FlowText> parse_flow_record(std::string_view line);

}  // namespace postern::sim
