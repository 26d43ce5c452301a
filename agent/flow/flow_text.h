// SPDX-License-Identifier: Apache-2.0
// A record as text. Three forms: the message of the Amazon agent's log, which differs by family; the
// message that it sends to CloudWatch; and a line of JSON with everything that is known. docs/flow-logs.md
// has them field by field.
#pragma once

#include <string>
#include <string_view>

#include "agent/flow/flow_record.h"
#include "agent/log/log_level.h"

namespace postern::agent {

// "TCP", "UDP", "SCTP", "ICMP", "RESERVED" (255), "ANY PROTOCOL" (254), else "UNKNOWN": as there.
std::string_view compat_protocol(std::uint8_t protocol);

// Denials and what would be one are told at info, the rest for debugging.
LogLevel level_of(const FlowRecord& record);

// "Flow Info: Src IP: 10.0.0.5 Src Port: 40000 Dest IP: ... Direction ingress, Tier NETWORK_POLICY".
std::string compat_message(const FlowRecord& record);
// "Node: n;SIP: 10.0.0.5;SPORT: 40000;DIP: ...;PolicyVerdict: DENY;Tier: NETWORK_POLICY".
std::string cloudwatch_message(const FlowRecord& record);
// {"level":"info","ts":"...","msg":"flow",...} without the end of the line. What is not known is left out.
std::string json_flow_line(const FlowRecord& record);

}  // namespace postern::agent
