// SPDX-License-Identifier: Apache-2.0
// networking.k8s.io/v1 NetworkPolicy. Absent, null and empty lists are one at every level (R11).
#include "engine/manifest/annotations.h"
#include "engine/manifest/kinds.h"

namespace postern::manifest {

namespace {

// "endPort: the range of ports from port to endPort … cannot be defined if the port field is not
// defined or if the port field is defined as a named (string) port. Must be equal or greater than port."
void read_end_port(const Report& report, const Value& entry, PolicyPort& port) {
  const Value* written = entry.find("endPort");
  if (written == nullptr) return;
  const auto end = port_number_of(report, *written, "endPort");
  if (!end) return;
  const Value* start = entry.find("port");
  if (start == nullptr) {
    report.error(*written, "endPort: found " + std::to_string(*end) +
                               " without a port, expected a numeric port beside it");
  } else if (start->kind == Kind::string) {
    report.error(*written, "endPort: found " + std::to_string(*end) + " with the named port \"" +
                               start->text + "\", expected a numeric port");
  } else if (port.port) {
    auto& range = std::get<PortRange>(*port.port);
    if (*end < range.lo) {
      report.error(*written, "endPort " + std::to_string(*end) + " is below port " +
                                 std::to_string(range.lo) + ", expected an endPort that is not");
    } else {
      range.hi = *end;
    }
  }
}

}  // namespace

std::optional<PolicyPort> read_policy_port(const Report& report, const Value& entry) {
  PolicyPort port;
  const auto protocol = protocol_at(report, &entry);
  const Value* written = entry.find("port");
  if (written != nullptr) {
    const auto read = port_of(report, *written, "port");
    if (read && std::holds_alternative<std::uint16_t>(*read)) {
      port.port = PortRange{std::get<std::uint16_t>(*read), std::get<std::uint16_t>(*read)};
    } else if (read) {
      port.port = std::get<std::string>(*read);
    }
  }
  read_end_port(report, entry, port);
  if (!protocol) return std::nullopt;
  port.protocol = *protocol;
  return port;
}

namespace {

std::optional<IpBlock> read_ip_block(const Report& report, const Value& written) {
  IpBlock block;
  const Value* cidr = written.find("cidr");
  if (cidr == nullptr) {
    report.error(written, "cidr: found nothing, expected a block of addresses like 10.0.0.0/8");
    return std::nullopt;
  }
  const auto read = cidr_of(report, *cidr, "cidr");
  if (!read) return std::nullopt;
  block.cidr = *read;
  for (const Value* entry : list_at(report, &written, "except")) {
    const auto except = cidr_of(report, *entry, "except");
    if (!except) continue;
    if (!block.cidr.contains(*except) || except->prefix_length() <= block.cidr.prefix_length()) {
      report.unexpected(*entry, "except", "a block inside " + block.cidr.to_string() + " and narrower");
      continue;
    }
    block.excepts.push_back(*except);
  }
  return block;
}

std::optional<PolicyPeer> read_peer(const Report& report, const Value& entry) {
  const Value* block = mapping_at(report, &entry, "ipBlock");
  const Value* namespaces = mapping_at(report, &entry, "namespaceSelector");
  const Value* pods = mapping_at(report, &entry, "podSelector");
  if (block != nullptr) {
    if (namespaces != nullptr || pods != nullptr) {
      report.error(*block, std::string("ipBlock: found beside ") +
                               (pods != nullptr ? "podSelector" : "namespaceSelector") + ", expected alone");
      return std::nullopt;
    }
    auto read = read_ip_block(report, *block);
    return read ? std::optional<PolicyPeer>(std::move(*read)) : std::nullopt;
  }
  if (namespaces == nullptr && pods == nullptr) {
    const bool wrong_type = entry.find("ipBlock") != nullptr || entry.find("namespaceSelector") != nullptr ||
                            entry.find("podSelector") != nullptr;
    if (!wrong_type) {
      report.error(entry, "peer: found no field, expected podSelector, namespaceSelector or ipBlock");
    }
    return std::nullopt;
  }
  PodPeer peer;
  if (namespaces != nullptr) peer.namespaces = read_selector(report, *namespaces);
  if (pods != nullptr) peer.pods = read_selector(report, *pods);
  return peer;
}

std::vector<PolicyRule> read_rules(const Report& report, const Value* spec, std::string_view direction,
                                   std::string_view peers) {
  std::vector<PolicyRule> rules;
  for (const Value* entry : mappings_at(report, spec, direction)) {
    PolicyRule rule;
    for (const Value* peer : mappings_at(report, entry, peers)) {
      if (auto read = read_peer(report, *peer)) rule.peers.push_back(std::move(*read));
    }
    for (const Value* port : mappings_at(report, entry, "ports")) {
      if (auto read = read_policy_port(report, *port)) rule.ports.push_back(std::move(*read));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// "If this field is not specified, it will default based on the existence of ingress or egress rules;
// policies that contain an egress section are assumed to affect egress, and all policies (whether or
// not they contain an ingress section) are assumed to affect ingress." (R12)
void read_policy_types(const Report& report, const Value* spec, NetworkPolicy& policy) {
  const auto types = list_at(report, spec, "policyTypes");
  if (types.empty()) {
    policy.isolates_ingress = true;
    policy.isolates_egress = !policy.egress.empty();
    return;
  }
  policy.isolates_ingress = false;
  policy.isolates_egress = false;
  for (const Value* type : types) {
    if (type->kind == Kind::string && type->text == "Ingress") {
      policy.isolates_ingress = true;
    } else if (type->kind == Kind::string && type->text == "Egress") {
      policy.isolates_egress = true;
    } else {
      report.unexpected(*type, "policyTypes", "Ingress or Egress");
    }
  }
}

}  // namespace

AnyObject read_network_policy(const Report& report, const Value& object, Metadata metadata) {
  NetworkPolicy policy;
  policy.key = std::move(metadata.key);
  policy.audit = read_audit(report, object, policy.remarks);
  const Value* spec = mapping_at(report, &object, "spec");
  if (const Value* selector = mapping_at(report, spec, "podSelector")) {
    policy.pod_selector = read_selector(report, *selector);
  }
  policy.ingress = read_rules(report, spec, "ingress", "from");
  policy.egress = read_rules(report, spec, "egress", "to");
  read_policy_types(report, spec, policy);
  return policy;
}

}  // namespace postern::manifest
