// SPDX-License-Identifier: Apache-2.0
// What resolved rules say, worked out slowly and without any table: what the tests hold the compiled tables
// to, and an agent a sample of its live verdicts. It shares no code with the compiler.
#pragma once

#include <cstdint>

#include "engine/policy/resolved_policy.h"

namespace postern {

// The meaning of rules without any table: what a direction of an endpoint says to (peer, protocol,
// port), as a final step. Where something is in audit, an allow may be a would-deny (R44).
// `protocol` is any IP protocol number; port is ignored where the protocol has none.
std::uint32_t judge(const ResolvedPolicy& policy, const EndpointPolicy& endpoint, Direction direction,
                    const IpAddress& peer, std::uint8_t protocol, std::uint16_t port);

}  // namespace postern
