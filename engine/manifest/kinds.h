// SPDX-License-Identifier: Apache-2.0
// One function a kind: from a tree whose kind and apiVersion are known to be right, to a value of the
// model. What is wrong is reported; a value comes back all the same, and is not used then.
// Private to engine/manifest; a new kind is a function here and a row in kinds.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/manifest/fields.h"
#include "engine/manifest/objects.h"

namespace postern::manifest {

// What every kind has in its metadata.
struct Metadata {
  NamespacedName key;  // without a namespace for cluster-wide kinds
  Labels labels;
  std::map<std::string, std::string> annotations;
};

struct KindRow {
  std::string_view kind;  // as objects write it
  std::string_view api_version;
  bool namespaced;
  decltype(Object::value) (*read)(const Report& report, const Value& object, Metadata metadata);
  std::string_view full_name = {};  // KIND.GROUP, where another group's kind has the name already
  // Tells kinds apart; Object::kind and ObjectRef::kind are this.
  [[nodiscard]] std::string_view name() const { return full_name.empty() ? kind : full_name; }
};

// null pointer: not a kind that policy depends on.
const KindRow* find_kind(std::string_view name);
// Of a kind that an object writes; where several groups have it that of `group`, else the first.
const KindRow* find_kind(std::string_view kind, std::string_view group);
// Empty for the core group.
std::string_view group_of(std::string_view api_version);
// Every kind, for messages and for those who name kinds themselves.
const std::vector<KindRow>& known_kinds();

Metadata read_metadata(const Report& report, const Value& object, bool namespaced);
// A mapping of label keys to label values, both checked.
Labels label_strings_at(const Report& report, const Value* parent, std::string_view name);
LabelSelector read_selector(const Report& report, const Value& selector);
// One entry of a list of ports, which may name a port.
std::optional<PolicyPort> read_policy_port(const Report& report, const Value& entry);
Pod read_pod_spec(const Report& report, const Value* spec, Metadata metadata);

using AnyObject = decltype(Object::value);
AnyObject read_namespace(const Report& report, const Value& object, Metadata metadata);
AnyObject read_node(const Report& report, const Value& object, Metadata metadata);
AnyObject read_pod(const Report& report, const Value& object, Metadata metadata);
AnyObject read_workload(const Report& report, const Value& object, Metadata metadata);
AnyObject read_service(const Report& report, const Value& object, Metadata metadata);
AnyObject read_endpoint_slice(const Report& report, const Value& object, Metadata metadata);
AnyObject read_network_policy(const Report& report, const Value& object, Metadata metadata);
AnyObject read_cluster_network_policy(const Report& report, const Value& object, Metadata metadata);
AnyObject read_amazon_cluster_network_policy(const Report& report, const Value& object, Metadata metadata);
AnyObject read_admin_network_policy(const Report& report, const Value& object, Metadata metadata);
AnyObject read_baseline_admin_network_policy(const Report& report, const Value& object, Metadata metadata);
AnyObject read_cluster_policy_endpoint(const Report& report, const Value& object, Metadata metadata);
AnyObject read_policy_endpoint(const Report& report, const Value& object, Metadata metadata);

}  // namespace postern::manifest
