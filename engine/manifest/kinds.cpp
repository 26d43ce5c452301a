// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/kinds.h"

#include <algorithm>

#include "engine/manifest/annotations.h"
#include "engine/model/cluster_policy_id.h"
#include "engine/model/snapshot.h"

namespace postern::manifest {

const std::vector<KindRow>& known_kinds() {
  static const std::vector<KindRow> kKinds{
      {"Namespace", "v1", false, read_namespace},
      {"Node", "v1", false, read_node},
      {"Pod", "v1", true, read_pod},
      {"Deployment", "apps/v1", true, read_workload},
      {"StatefulSet", "apps/v1", true, read_workload},
      {"DaemonSet", "apps/v1", true, read_workload},
      {"ReplicaSet", "apps/v1", true, read_workload},
      {"ReplicationController", "v1", true, read_workload},
      {"Job", "batch/v1", true, read_workload},
      {"CronJob", "batch/v1", true, read_workload},
      {"Service", "v1", true, read_service},
      {"EndpointSlice", "discovery.k8s.io/v1", true, read_endpoint_slice},
      {"NetworkPolicy", "networking.k8s.io/v1", true, read_network_policy},
      {"ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", false, read_cluster_network_policy},
      {"ClusterNetworkPolicy", "networking.k8s.aws/v1alpha1", false, read_amazon_cluster_network_policy,
       cluster_policy_kind::kAmazon},
      {"AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", false, read_admin_network_policy},
      {"BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", false, read_baseline_admin_network_policy},
      {"ClusterPolicyEndpoint", "networking.k8s.aws/v1alpha1", false, read_cluster_policy_endpoint},
      {"PolicyEndpoint", "networking.k8s.aws/v1alpha1", true, read_policy_endpoint},
  };
  return kKinds;
}

const KindRow* find_kind(std::string_view name) {
  const auto& kinds = known_kinds();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [&](const KindRow& row) { return row.name() == name; });
  return found == kinds.end() ? nullptr : &*found;
}

const KindRow* find_kind(std::string_view kind, std::string_view group) {
  const KindRow* first = nullptr;
  for (const auto& row : known_kinds()) {
    if (row.kind != kind) continue;
    if (group_of(row.api_version) == group) return &row;
    if (first == nullptr) first = &row;
  }
  return first;
}

std::string_view group_of(std::string_view api_version) {
  const auto slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
}

Labels label_strings_at(const Report& report, const Value* parent, std::string_view name) {
  Labels labels = strings_at(report, parent, name);
  const Value* written = parent == nullptr ? nullptr : parent->find(name);
  for (std::size_t i = 0; written != nullptr && written->kind == Kind::mapping && i < written->size(); ++i) {
    const Value& key = written->key(i);
    const Value& value = written->member(i);
    if (const char* expected = wrong_label_key(key.text)) report.unexpected(key, name, expected);
    if (value.kind != Kind::string) continue;
    if (const char* expected = wrong_label_value(value.text)) report.unexpected(value, key.text, expected);
  }
  return labels;
}

namespace {

void check_name(const Report& report, const Value& name, const char* what, const char* expected) {
  if (expected != nullptr) report.unexpected(name, what, expected);
}

}  // namespace

Metadata read_metadata(const Report& report, const Value& object, bool namespaced) {
  Metadata metadata;
  const Value* written = mapping_at(report, &object, "metadata");
  if (written == nullptr) {
    if (object.find("metadata") == nullptr) report.error(object, "metadata: found nothing, expected a name");
    return metadata;
  }
  metadata.labels = label_strings_at(report, written, "labels");
  metadata.annotations = strings_at(report, written, "annotations");
  const std::string kind = object.find("kind") == nullptr ? "" : object.find("kind")->text;
  if (!takes_annotations(kind)) expect_no_annotations(report, object);
  if (const auto name = string_at(report, written, "name")) {
    metadata.key.name = *name;
    const bool label_name = kind == "Namespace" || kind == "Service";
    check_name(report, *written->find("name"), "metadata.name",
               label_name ? wrong_label_name(*name) : wrong_subdomain(*name));
  } else if (written->find("name") == nullptr) {
    report.error(*written, "metadata.name: found nothing, expected a name");
  }
  if (!namespaced) return metadata;
  metadata.key.ns = "default";
  if (const auto ns = string_at(report, written, "namespace"); ns && !ns->empty()) {
    metadata.key.ns = *ns;
    check_name(report, *written->find("namespace"), "metadata.namespace", wrong_label_name(*ns));
  }
  return metadata;
}

namespace {

struct OperatorRow {
  std::string_view name;
  SelectorOperator op;
  bool takes_values;
};

constexpr OperatorRow kOperators[] = {
    {"In", SelectorOperator::in, true},
    {"NotIn", SelectorOperator::not_in, true},
    {"Exists", SelectorOperator::exists, false},
    {"DoesNotExist", SelectorOperator::does_not_exist, false},
};

std::vector<std::string> read_values(const Report& report, const Value& expression) {
  std::vector<std::string> values;
  for (const Value* value : list_at(report, &expression, "values")) {
    if (value->kind != Kind::string && !value->is_null()) {
      report.unexpected(*value, "values", value->is_scalar() ? "a string (in quotes)" : "a string");
      continue;
    }
    // API servers before 1.27 take values that no label can have; they match none.
    if (const char* expected = report.live ? nullptr : wrong_label_value(value->text)) {
      report.unexpected(*value, "values", expected);
    }
    values.push_back(value->text);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

std::optional<LabelRequirement> read_requirement(const Report& report, const Value& expression) {
  LabelRequirement requirement;
  const auto key = string_at(report, &expression, "key");
  if (!key) {
    if (expression.find("key") == nullptr) {
      report.error(expression, "key: found nothing, expected a label key");
    }
    return std::nullopt;
  }
  requirement.key = *key;
  if (const char* expected = wrong_label_key(*key)) {
    report.unexpected(*expression.find("key"), "key", expected);
  }

  const Value* written = expression.find("operator");
  const auto row =
      std::find_if(std::begin(kOperators), std::end(kOperators), [&](const OperatorRow& operator_row) {
        return written != nullptr && written->kind == Kind::string && operator_row.name == written->text;
      });
  if (row == std::end(kOperators)) {
    report.unexpected(
        written == nullptr ? Value{Kind::null, expression.line, expression.column, "", {}} : *written,
        "operator", "In, NotIn, Exists or DoesNotExist");
    return std::nullopt;
  }
  requirement.op = row->op;
  requirement.values = read_values(report, expression);
  const Value* values = expression.find("values");
  if (row->takes_values && (values == nullptr || values->items.empty())) {
    report.error(values == nullptr ? expression : *values,
                 "values: found none, expected at least one for the operator " + std::string(row->name));
  } else if (!row->takes_values && values != nullptr && !values->items.empty()) {
    report.error(*values, "values: found " + std::to_string(values->size()) +
                              ", expected none for the operator " + std::string(row->name));
  }
  return requirement;
}

}  // namespace

LabelSelector read_selector(const Report& report, const Value& selector) {
  LabelSelector read;
  read.match_labels = label_strings_at(report, &selector, "matchLabels");
  for (const Value* expression : mappings_at(report, &selector, "matchExpressions")) {
    if (auto requirement = read_requirement(report, *expression)) {
      read.match_expressions.push_back(std::move(*requirement));
    }
  }
  std::sort(read.match_expressions.begin(), read.match_expressions.end());
  return read;
}

AnyObject read_namespace(const Report& report, const Value& object, Metadata metadata) {
  Namespace ns;
  ns.name = metadata.key.name;
  ns.labels = std::move(metadata.labels);
  // "The control plane sets an immutable label kubernetes.io/metadata.name on all namespaces." (R34)
  ns.labels[kNamespaceNameLabel] = ns.name;
  ns.annotations = std::move(metadata.annotations);
  read_namespace_annotations(report, object, ns);
  return ns;
}

AnyObject read_node(const Report& report, const Value& object, Metadata metadata) {
  Node node;
  node.name = metadata.key.name;
  node.labels = std::move(metadata.labels);
  for (const Value* entry : mappings_at(report, mapping_at(report, &object, "status"), "addresses")) {
    const std::string type = string_at(report, entry, "type").value_or("");
    const Value* written = entry->find("address");
    if (written == nullptr) {
      report.error(*entry, "address: found nothing, expected an address");
      continue;
    }
    if (report.live && written->kind == Kind::string && written->text.empty()) continue;  // none yet
    const bool must_be_address = type == "InternalIP" || type == "ExternalIP";
    const auto address = must_be_address                 ? address_of(report, *written, "address")
                         : written->kind == Kind::string ? IpAddress::parse(written->text)
                                                         : std::nullopt;
    if (address) node.addresses.push_back({type, *address});
  }
  return node;
}

}  // namespace postern::manifest
