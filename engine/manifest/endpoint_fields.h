// SPDX-License-Identifier: Apache-2.0
// Fields that the slices of resolved policies share, PolicyEndpoints and ClusterPolicyEndpoints: blocks,
// ports by number, pods by name and addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/manifest/fields.h"

namespace postern::manifest {

// Absent or an empty string.
bool is_empty(const Value* value);
// A block, or an address, which is the block of that one host (R25c).
std::optional<Cidr> block_or_host_of(const Report& report, const Value& value, std::string_view name);
// Names are resolved before they get here: ports are numbers.
std::optional<PolicyPort> read_endpoint_port(const Report& report, const Value& entry);
// A string that must be there and not be empty; empty only where it was reported.
std::string required_name(const Report& report, const Value& parent, std::string_view name);
// An entry of podSelectorEndpoints.
PodEndpoint read_pod_endpoint(const Report& report, const Value& entry);

}  // namespace postern::manifest
