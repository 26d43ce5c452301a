// SPDX-License-Identifier: Apache-2.0
// Objects of the model as JSON that API servers and the reader of manifests take: what a value went through
// both ways is what it was. Keys come in the order of the alphabet, as kubectl prints them.
#pragma once

#include <nlohmann/json.hpp>

#include <string_view>
#include <vector>

#include "engine/model/cluster_network_policy.h"
#include "engine/model/objects.h"

namespace postern::sim {

struct ObjectName {
  std::string_view api_version;
  std::string_view kind;
  NamespacedName key;  // without namespace: a kind of the whole cluster
};

// apiVersion, kind and metadata.
nlohmann::json object_head(const ObjectName& name, const Labels& labels = {});

// As the API writes it: "In", "NotIn", "Exists", "DoesNotExist".
std::string_view word_of(SelectorOperator op);

nlohmann::json selector_json(const LabelSelector& selector);

// What puts a policy or a namespace in audit (R45).
void annotate_audit(bool audit, nlohmann::json& object);

nlohmann::json object_json(const NetworkPolicy& policy);
// In the form it was read from; one whose pods are listed as a ClusterPolicyEndpoint, all slices in one.
nlohmann::json object_json(const ClusterNetworkPolicy& policy);
nlohmann::json object_json(const PolicyEndpoint& slice);
// Entries in the order of the rules that they make.
nlohmann::json object_json(const ClusterPolicyEndpoint& slice);
nlohmann::json pod_endpoint_json(const PodEndpoint& pod);
// One without a ClusterIP is written as headless.
nlohmann::json object_json(const Service& service);
nlohmann::json object_json(const EndpointSlice& slice);

// The containers of a pod that has these ports; never empty, as API servers want it.
nlohmann::json containers_json(const std::vector<ContainerPort>& ports);

}  // namespace postern::sim
