// SPDX-License-Identifier: Apache-2.0
// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, and the older forms that say the same in other
// words: AdminNetworkPolicy, BaselineAdminNetworkPolicy and Amazon's ClusterNetworkPolicy. What the API
// server's schema of a form refuses is refused; a peer that has no field of these is of a newer API and is
// kept as such, because its rule has to fail closed (R31). A selector that is null selects everything (R33).
#include <algorithm>
#include <array>
#include <string>

#include "engine/manifest/annotations.h"
#include "engine/manifest/cluster_policy_fields.h"
#include "engine/manifest/kinds.h"
#include "engine/model/cluster_policy_id.h"

namespace postern::manifest {

namespace {

constexpr std::size_t kLongestRuleName = 100;
constexpr std::size_t kMostNames = 25;  // of networks and domainNames, in every form

// What one kind of object writes otherwise than the next.
struct Form {
  std::string_view kind;                // see cluster_policy_id.h
  std::size_t most = 25;                // rules of a direction, peers and ports of a rule
  std::string_view accept = "Accept";
  bool passes = true;
  bool nodes = true;                    // as peers of egress
  bool domain_names = true;
  bool ports = false;                   // `ports` with portNumber, portRange and namedPort; else `protocols`
  std::optional<Tier> tier = {};        // of all its policies; else each says its own
  std::optional<std::uint32_t> priority = {};
};

constexpr Form kCurrentForm{.kind = cluster_policy_kind::kClusterNetworkPolicy};
constexpr Form kAmazonForm{.kind = cluster_policy_kind::kAmazon, .most = 100, .nodes = false, .ports = true};
constexpr Form kAdminForm{
    .kind = cluster_policy_kind::kAdmin, .most = 100, .accept = "Allow", .ports = true, .tier = Tier::admin};
constexpr Form kBaselineForm{.kind = cluster_policy_kind::kBaselineAdmin,
                             .most = 100,
                             .accept = "Allow",
                             .passes = false,
                             .domain_names = false,
                             .ports = true,
                             .tier = Tier::baseline,
                             .priority = kNoPriority};

// What a direction calls its peers, and which kinds of them it has.
struct DirectionForm {
  const Form& form;
  std::string_view rules;
  std::string_view peers;
  bool outside;  // nodes, networks and domainNames too
};

void check_count(const Report& report, const Value* parent, std::string_view name, std::size_t most) {
  const Value* list = parent == nullptr ? nullptr : parent->find(name);
  if (list == nullptr || list->kind != Kind::sequence || list->size() <= most) return;
  report.error(*list, std::string(name) + ": found " + std::to_string(list->size()) + ", expected at most " +
                          std::to_string(most));
}

bool has_key(const Value& mapping, std::string_view name) {
  for (std::size_t i = 0; mapping.kind == Kind::mapping && i < mapping.size(); ++i) {
    if (mapping.key(i).text == name) return true;
  }
  return false;
}

std::string list_of(const std::vector<std::string_view>& names, std::string_view last_word) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) text += i + 1 == names.size() ? " " + std::string(last_word) + " " : ", ";
    text += names[i];
  }
  return text;
}

// The one field of these that a mapping has; reported where it has several. A null selector counts where
// nothing else does. Empty: none.
std::string_view one_field_of(const Report& report, const Value& mapping, std::string_view what,
                              const std::vector<std::string_view>& names) {
  std::vector<std::string_view> found;
  for (const auto name : names) {
    if (mapping.find(name) != nullptr) found.push_back(name);
  }
  if (found.size() > 1) {
    report.error(mapping, std::string(what) + ": found " + list_of(found, "and") + ", expected one of them");
    return found.front();
  }
  if (!found.empty()) return found.front();
  for (const std::string_view selector : {"namespaces", "nodes"}) {
    const bool offered = std::find(names.begin(), names.end(), selector) != names.end();
    if (offered && has_key(mapping, selector)) return selector;
  }
  return {};
}

// Absent and null: everything (R33).
LabelSelector selector_at(const Report& report, const Value& parent, std::string_view name) {
  const Value* selector = mapping_at(report, &parent, name);
  return selector == nullptr ? LabelSelector{} : read_selector(report, *selector);
}

ClusterPods read_pods(const Report& report, const Value& entry, std::string_view field) {
  ClusterPods pods;
  if (field == "namespaces") {
    pods.namespaces = selector_at(report, entry, field);
  } else if (const Value* both = mapping_at(report, &entry, field)) {
    pods.namespaces = selector_at(report, *both, "namespaceSelector");
    pods.pods = selector_at(report, *both, "podSelector");
  }
  return pods;
}

void expect_some(const Report& report, const Value& entry, std::string_view name, std::string_view what) {
  const Value* list = entry.find(name);
  if (list == nullptr || list->kind != Kind::sequence || list->size() != 0) return;
  report.error(*list, std::string(name) + ": found none, expected 1 to " + std::to_string(kMostNames) + " " +
                          std::string(what));
}

ClusterNetworks read_networks(const Report& report, const Value& entry) {
  ClusterNetworks networks;
  expect_some(report, entry, "networks", "blocks");
  check_count(report, &entry, "networks", kMostNames);
  for (const Value* written : list_at(report, &entry, "networks")) {
    if (const auto block = cidr_of(report, *written, "networks")) networks.networks.push_back(*block);
  }
  return networks;
}

ClusterDomainNames read_domain_names(const Report& report, const Value& entry) {
  ClusterDomainNames domains;
  expect_some(report, entry, "domainNames", "names");
  check_count(report, &entry, "domainNames", kMostNames);
  for (const Value* written : list_at(report, &entry, "domainNames")) {
    if (written->kind != Kind::string || written->text.empty()) {
      report.unexpected(*written, "domainNames", "a name like example.com or *.example.com");
      continue;
    }
    domains.names.push_back(written->text);
  }
  return domains;
}

ClusterPeer read_peer(const Report& report, const Value& entry, const DirectionForm& form) {
  std::vector<std::string_view> names{"namespaces", "pods"};
  if (form.outside && form.form.nodes) names.emplace_back("nodes");
  if (form.outside) names.emplace_back("networks");
  if (form.outside && form.form.domain_names) names.emplace_back("domainNames");
  const std::string_view field = one_field_of(report, entry, "peer", names);
  if (field == "nodes") return ClusterNodes{selector_at(report, entry, "nodes")};
  if (field == "networks") return read_networks(report, entry);
  if (field == "domainNames") return read_domain_names(report, entry);
  if (field.empty()) return UnknownPeer{keys_of(entry)};
  return read_pods(report, entry, field);
}

// A range that has one port is refused by the API: it must grow.
std::optional<PortRange> read_range(const Report& report, const Value& range, std::string_view range_name) {
  const auto end_of = [&](std::string_view name) -> std::optional<std::uint16_t> {
    const Value* written = range.find(name);
    if (written != nullptr) return port_number_of(report, *written, name);
    report.error(range, std::string(name) + ": found nothing, expected a port number from 1 to 65535");
    return std::nullopt;
  };
  const auto start = end_of("start");
  const auto end = end_of("end");
  if (!start || !end) return std::nullopt;
  if (*start < *end) return PortRange{*start, *end};
  report.error(range, std::string(range_name) + ": found " + std::to_string(*start) + " to " + std::to_string(*end) +
                          ", expected an end above its start");
  return std::nullopt;
}

std::optional<PortRange> read_destination_port(const Report& report, const Value& protocol, std::string_view name) {
  const Value* port = mapping_at(report, &protocol, "destinationPort");
  if (port == nullptr) {
    if (protocol.find("destinationPort") == nullptr) {
      report.error(protocol, std::string(name) + ": found no field, expected destinationPort");
    }
    return std::nullopt;
  }
  const std::string_view field = one_field_of(report, *port, "destinationPort", {"number", "range"});
  if (field.empty()) report.error(*port, "destinationPort: found no field, expected number or range");
  if (field == "number") {
    const auto number = port_number_of(report, *port->find(field), field);
    return number ? std::optional(PortRange{*number, *number}) : std::nullopt;
  }
  const Value* range = mapping_at(report, port, "range");
  return range == nullptr ? std::nullopt : read_range(report, *range, "range");
}

std::optional<NamedPort> read_named_port(const Report& report, const Value& entry, std::string_view field) {
  const auto name = string_at(report, &entry, field);
  if (!name) return std::nullopt;
  // An API server lets any name in; one that no port can have matches none, but an empty one would match
  // those that have none.
  const char* expected = report.live && !name->empty() ? nullptr : wrong_port_name(*name);
  if (expected != nullptr) {
    report.unexpected(*entry.find(field), field, expected);
    return std::nullopt;
  }
  return NamedPort{*name};
}

std::optional<ClusterPort> read_protocol(const Report& report, const Value& entry) {
  static constexpr std::array<std::pair<std::string_view, Protocol>, 3> kProtocols{
      {{"tcp", Protocol::tcp}, {"udp", Protocol::udp}, {"sctp", Protocol::sctp}}};
  const std::string_view field =
      one_field_of(report, entry, "protocols", {"tcp", "udp", "sctp", "destinationNamedPort"});
  if (field.empty()) {
    report.error(entry, "protocols: found no field, expected tcp, udp, sctp or destinationNamedPort");
    return std::nullopt;
  }
  if (field == "destinationNamedPort") {
    auto named = read_named_port(report, entry, field);
    return named ? std::optional<ClusterPort>(std::move(*named)) : std::nullopt;
  }
  const Value* protocol = mapping_at(report, &entry, field);
  if (protocol == nullptr) return std::nullopt;
  const auto ports = read_destination_port(report, *protocol, field);
  if (!ports) return std::nullopt;
  for (const auto& [name, value] : kProtocols) {
    if (name == field) return ProtocolPorts{value, *ports};
  }
  return std::nullopt;
}

// An entry of the older `ports`.
std::optional<ClusterPort> read_port(const Report& report, const Value& entry) {
  const std::string_view field = one_field_of(report, entry, "ports", {"portNumber", "portRange", "namedPort"});
  if (field.empty()) {
    report.error(entry, "ports: found no field, expected portNumber, portRange or namedPort");
    return std::nullopt;
  }
  if (field == "namedPort") {
    auto named = read_named_port(report, entry, field);
    return named ? std::optional<ClusterPort>(std::move(*named)) : std::nullopt;
  }
  const Value* written = mapping_at(report, &entry, field);
  if (written == nullptr) return std::nullopt;
  const auto protocol = protocol_at(report, written);
  std::optional<PortRange> ports;
  if (field == "portRange") {
    ports = read_range(report, *written, field);
  } else if (const Value* port = written->find("port")) {
    if (const auto number = port_number_of(report, *port, "port")) ports = PortRange{*number, *number};
  } else {
    report.error(*written, "port: found nothing, expected a port number from 1 to 65535");
  }
  return protocol && ports ? std::optional<ClusterPort>(ProtocolPorts{*protocol, *ports}) : std::nullopt;
}

std::string read_rule_name(const Report& report, const Value& entry) {
  std::string name = string_at(report, &entry, "name").value_or("");
  if (std::any_of(name.begin(), name.end(), is_control)) {
    report.unexpected(*entry.find("name"), "name", "one without control characters");
  }
  // Characters, not bytes: all but the first of each have the bits 10 on top.
  const auto letters = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xc0) != 0x80; });
  if (static_cast<std::size_t>(letters) > kLongestRuleName) {
    report.error(*entry.find("name"), "name: found " + std::to_string(letters) + " characters, expected at most " +
                                          std::to_string(kLongestRuleName));
  }
  return name;
}

// A port's name and networks, nodes or domainNames exclude each other: what has no pod behind it has no names.
void check_together(const Report& report, const Value& entry, const ClusterRule& rule, const Form& form) {
  const bool named = std::any_of(rule.protocols.begin(), rule.protocols.end(),
                                 [](const ClusterPort& port) { return std::holds_alternative<NamedPort>(port); });
  for (const auto& peer : rule.peers) {
    const char* kind = std::holds_alternative<ClusterNodes>(peer)         ? "nodes"
                       : std::holds_alternative<ClusterNetworks>(peer)    ? "networks"
                       : std::holds_alternative<ClusterDomainNames>(peer) ? "domainNames"
                                                                          : nullptr;
    if (named && kind != nullptr) {
      report.error(entry, std::string("rule: found ") + (form.ports ? "namedPort" : "destinationNamedPort") +
                              " together with " + kind + ", expected it with pods and namespaces only");
      return;
    }
    if (std::holds_alternative<ClusterDomainNames>(peer) && rule.action != Action::accept) {
      report.error(entry, "rule: found domainNames with another action, expected " + std::string(form.accept));
      return;
    }
  }
}

ClusterRule read_rule(const Report& report, const Value& entry, const DirectionForm& form) {
  ClusterRule rule;
  rule.name = read_rule_name(report, entry);
  rule.action = read_action(report, entry, form.form.accept, form.form.passes);
  const auto peers = mappings_at(report, &entry, form.peers);
  check_count(report, &entry, form.peers, form.form.most);
  for (const Value* peer : peers) rule.peers.push_back(read_peer(report, *peer, form));
  if (list_at(report, &entry, form.peers).empty()) {
    const Value* written = entry.find(form.peers);
    report.error(written == nullptr ? entry : *written, std::string(form.peers) + ": found none, expected 1 to " +
                                                            std::to_string(form.form.most) + " peers");
  }
  const std::string_view ports = form.form.ports ? "ports" : "protocols";
  check_count(report, &entry, ports, form.form.most);
  for (const Value* written : mappings_at(report, &entry, ports)) {
    auto read = form.form.ports ? read_port(report, *written) : read_protocol(report, *written);
    if (read) rule.protocols.push_back(std::move(*read));
  }
  check_together(report, entry, rule, form.form);
  return rule;
}

std::vector<ClusterRule> read_rules(const Report& report, const Value* spec, const DirectionForm& form) {
  std::vector<ClusterRule> rules;
  check_count(report, spec, form.rules, form.form.most);
  for (const Value* entry : mappings_at(report, spec, form.rules)) {
    rules.push_back(read_rule(report, *entry, form));
  }
  return rules;
}

}  // namespace

std::vector<std::string> keys_of(const Value& mapping) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < mapping.size(); ++i) keys.push_back(mapping.key(i).text);
  std::sort(keys.begin(), keys.end());
  return keys;
}

Tier read_tier(const Report& report, const Value& spec) {
  const Value* written = spec.find("tier");
  if (written == nullptr) {
    report.error(spec, "tier: found nothing, expected Admin or Baseline");
    return Tier::admin;
  }
  if (written->kind == Kind::string && written->text == "Admin") return Tier::admin;
  if (written->kind == Kind::string && written->text == "Baseline") return Tier::baseline;
  report.unexpected(*written, "tier", "Admin or Baseline");
  return Tier::admin;
}

std::uint32_t read_priority(const Report& report, const Value& spec) {
  static constexpr const char* kExpected = "a whole number from 0 to 1000";
  const Value* written = spec.find("priority");
  if (written == nullptr) {
    report.error(spec, std::string("priority: found nothing, expected ") + kExpected);
    return 0;
  }
  const auto number = written->kind == Kind::integer ? integer_of(*written) : std::nullopt;
  if (number && *number >= 0 && *number <= kHighestPriority) return static_cast<std::uint32_t>(*number);
  report.unexpected(*written, "priority", kExpected);
  return 0;
}

ClusterPods read_subject(const Report& report, const Value& spec) {
  const Value* subject = mapping_at(report, &spec, "subject");
  if (subject == nullptr) {
    if (spec.find("subject") == nullptr) {
      report.error(spec, "subject: found nothing, expected namespaces or pods in it");
    }
    return {};
  }
  const std::string_view field = one_field_of(report, *subject, "subject", {"namespaces", "pods"});
  if (field.empty()) report.error(*subject, "subject: found no field, expected namespaces or pods");
  return field.empty() ? ClusterPods{} : read_pods(report, *subject, field);
}

Action read_action(const Report& report, const Value& entry, std::string_view accept, bool passes) {
  const Value* written = entry.find("action");
  if (written != nullptr && written->kind == Kind::string) {
    if (written->text == accept) return Action::accept;
    if (written->text == "Deny") return Action::deny;
    if (written->text == "Pass" && passes) return Action::pass;
  }
  const std::string expected = std::string(accept) + (passes ? ", Deny or Pass" : " or Deny");
  if (written != nullptr) {
    report.unexpected(*written, "action", expected);
  } else {
    report.error(entry, "action: found nothing, expected " + expected);
  }
  return Action::deny;
}

namespace {

ClusterNetworkPolicy read_policy(const Report& report, const Value& object, const Form& form,
                                 const Metadata& metadata) {
  ClusterNetworkPolicy policy;
  policy.name = cluster_policy_id(form.kind, metadata.key.name);
  policy.audit = read_audit(report, object, policy.remarks);
  const Value* spec = mapping_at(report, &object, "spec");
  if (spec == nullptr) {
    if (object.find("spec") == nullptr) {
      report.error(object, std::string("spec: found nothing, expected ") + (form.tier ? "" : "tier, ") +
                               (form.priority ? "a subject in it" : "priority and subject in it"));
    }
    return policy;
  }
  policy.tier = form.tier ? *form.tier : read_tier(report, *spec);
  policy.priority = form.priority ? *form.priority : read_priority(report, *spec);
  policy.subject = read_subject(report, *spec);
  policy.ingress = read_rules(report, spec, {form, "ingress", "from", false});
  policy.egress = read_rules(report, spec, {form, "egress", "to", true});
  return policy;
}

}  // namespace

AnyObject read_cluster_network_policy(const Report& report, const Value& object, Metadata metadata) {
  return read_policy(report, object, kCurrentForm, metadata);
}

AnyObject read_amazon_cluster_network_policy(const Report& report, const Value& object, Metadata metadata) {
  return read_policy(report, object, kAmazonForm, metadata);
}

AnyObject read_admin_network_policy(const Report& report, const Value& object, Metadata metadata) {
  return read_policy(report, object, kAdminForm, metadata);
}

AnyObject read_baseline_admin_network_policy(const Report& report, const Value& object, Metadata metadata) {
  if (!metadata.key.name.empty() && metadata.key.name != "default") {
    report.unexpected(*object.find("metadata")->find("name"), "metadata.name", "default: a cluster has one of these");
  }
  return read_policy(report, object, kBaselineForm, metadata);
}

}  // namespace postern::manifest
