// SPDX-License-Identifier: Apache-2.0
// What resolved rules say, worked out slowly and without any table; kept out of the product.
#pragma once

#include <cstdint>

#include "engine/policy/resolved_policy.h"

namespace postern {

// The meaning of rules without any table: what a direction of an endpoint says to (peer, protocol,
// port), as a final step. The slow reference that the tests hold the tables to.
// `protocol` is any IP protocol number; port is ignored where the protocol has none.
std::uint32_t judge(const ResolvedPolicy& policy, const EndpointPolicy& endpoint, Direction direction,
                    const IpAddress& peer, std::uint8_t protocol, std::uint16_t port);

}  // namespace postern
