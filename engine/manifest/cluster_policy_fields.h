// SPDX-License-Identifier: Apache-2.0
// Fields that cluster policies and their slices share. As in kinds.h: what is wrong is reported, and what
// comes back then is not used.
#pragma once

#include <string_view>

#include "engine/manifest/fields.h"
#include "engine/model/cluster_network_policy.h"

namespace postern::manifest {

Tier read_tier(const Report& report, const Value& spec);
std::uint32_t read_priority(const Report& report, const Value& spec);
ClusterPods read_subject(const Report& report, const Value& spec);
// `accept`: the form's word for it.
Action read_action(const Report& report, const Value& entry, std::string_view accept, bool passes);
// Keys of a mapping, those whose value is null included, sorted.
std::vector<std::string> keys_of(const Value& mapping);

}  // namespace postern::manifest
