// SPDX-License-Identifier: Apache-2.0
// Objects of a cluster as an API server takes them: the values of a snapshot, written back as JSON. The
// reader of manifests is the other way round; a value that went through both is what it was.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"

namespace postern::sim {

// What an API server knows an object by. Ordered as objects are made: what others stand in or on first.
struct ApiKey {
  enum class Kind : std::uint8_t {
    namespace_,
    node,
    pod,
    service,
    endpoint_slice,
    network_policy,
    cluster_network_policy,
    policy_endpoint,
  };
  Kind kind = Kind::pod;
  NamespacedName name;  // without namespace: a kind of the whole cluster
  friend auto operator<=>(const ApiKey&, const ApiKey&) = default;
};

struct ApiObject {
  ApiKey key;
  std::string body;    // JSON
  std::string status;  // the same with its status, for the subresource; empty: it has none
};

// "pods", as in paths, roles and metrics.
std::string_view plural_of(ApiKey::Kind kind);
// "/api/v1/namespaces/shop/pods": where objects of its kind and namespace are.
std::string collection_path(const ApiKey& key);
// The name under which the API knows a node: the one of pods that name none cannot be written there.
std::string api_node_name(const std::string& node);

// Which kind of policy the server holds: `network_policies`, those of the whole cluster included, or
// PolicyEndpoints, which have no tiers; `as_they_are`: every kind, of each what the snapshot has.
enum class ServedPolicies : std::uint8_t { network_policies, policy_endpoints, as_they_are };

// Everything in a snapshot, and each namespace that something is in. With policy_endpoints the
// NetworkPolicies are resolved as a controller would, slices of the snapshot's own come beside them, and
// ClusterNetworkPolicies are left out. Errors: those of to_policy_endpoints.
Result<std::vector<ApiObject>> api_objects(const ClusterSnapshot& cluster, ServedPolicies policies);

// One object of every kind that means nothing: an agent that has seen its newest version has seen all that
// was written before. Each number makes other objects of the same names. A ClusterNetworkPolicy is the last
// one, and only with network_policies. With PolicyEndpoints an agent follows the pods of its own node alone, so
// there is one on each of these nodes.
std::vector<ApiObject> barrier_objects(std::uint64_t number, ServedPolicies policies,
                                       const std::map<std::string, Node>& nodes = {});

}  // namespace postern::sim
