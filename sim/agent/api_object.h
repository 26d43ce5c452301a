// SPDX-License-Identifier: Apache-2.0
// Objects of a cluster as an API server takes them: the values of a snapshot, written back as JSON. The
// reader of manifests is the other way round; a value that went through both is what it was.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
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
    admin_network_policy,
    baseline_admin_network_policy,
    amazon_cluster_network_policy,
    policy_endpoint,
    cluster_policy_endpoint,
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

// "pods", as in paths and roles.
std::string_view plural_of(ApiKey::Kind kind);
// What the agent's metrics call it: its plural, with the group where another group has the plural already.
std::string_view resource_name_of(ApiKey::Kind kind);
// A server has it only where it is defined.
bool is_custom(ApiKey::Kind kind);
// Of a kind that a CustomResourceDefinition defines; nullopt: nothing is written of it.
std::optional<ApiKey::Kind> custom_kind(std::string_view group, std::string_view kind);
// The kind under which a policy of the whole cluster was written; of one whose pods are listed that of its slices.
ApiKey::Kind kind_of(const ClusterNetworkPolicy& policy);
// "AdminNetworkPolicies", for sentences.
std::string many_of(ApiKey::Kind kind);
// "/api/v1/namespaces/shop/pods": where objects of its kind and namespace are.
std::string collection_path(const ApiKey& key);
// The name under which the API knows a node: the one of pods that name none cannot be written there.
std::string api_node_name(const std::string& node);

// Which kind of policy the server holds: `network_policies`, those of the whole cluster included, or
// PolicyEndpoints and ClusterPolicyEndpoints; `as_they_are`: every kind, of each what the snapshot has.
enum class ServedPolicies : std::uint8_t { network_policies, policy_endpoints, as_they_are };

// Everything in a snapshot, and each namespace that something is in. With policy_endpoints the NetworkPolicies
// are resolved as a controller would, Services with a selector get EndpointSlices (endpoint_slices.h), slices of
// the snapshot's own come beside them, those of a cluster policy apart again (its pods, and the entries of each
// direction), and policies of the whole cluster in other forms are left out; with network_policies such slices
// are. Errors: those of to_policy_endpoints.
Result<std::vector<ApiObject>> api_objects(const ClusterSnapshot& cluster, ServedPolicies policies);

// One object of every kind that means nothing: an agent that has seen its newest version has seen all that
// was written before. Each number makes other objects of the same names. Kinds of policies are those that
// `policies` has; of BaselineAdminNetworkPolicies a cluster has one, see stamp_baseline. With PolicyEndpoints an
// agent follows the pods of its own node alone, so there is one on each of these nodes.
std::vector<ApiObject> barrier_objects(std::uint64_t number, ServedPolicies policies,
                                       const std::map<std::string, Node>& nodes = {});

// The one BaselineAdminNetworkPolicy among the objects, or one that means nothing where there is none, becomes
// another object with each number: its own barrier. Returns its key.
ApiKey stamp_baseline(std::vector<ApiObject>& objects, std::uint64_t number);

}  // namespace postern::sim
