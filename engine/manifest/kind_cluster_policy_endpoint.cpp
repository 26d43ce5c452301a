// SPDX-License-Identifier: Apache-2.0
// networking.k8s.aws/v1alpha1 ClusterPolicyEndpoint, as the Amazon controller writes it: what its
// ClusterNetworkPolicy resolves to, cut into slices. An entry that names neither a block nor a domain is of
// a newer API and is kept as a peer that nobody here knows, because it has to fail closed (R31).
#include <algorithm>

#include "engine/manifest/cluster_policy_fields.h"
#include "engine/manifest/endpoint_fields.h"
#include "engine/manifest/kinds.h"

namespace postern::manifest {

namespace {

std::vector<std::string> unknown_keys(const Value& entry) {
  std::vector<std::string> keys = keys_of(entry);
  std::erase_if(keys, [](const std::string& key) {
    return key == "action" || key == "ports" || key == "cidr" || key == "domainName";
  });
  return keys;
}

ClusterPeer read_peer(const Report& report, const Value& entry, Action action) {
  const Value* cidr = entry.find("cidr");
  if (!is_empty(cidr)) {
    ClusterNetworks block;
    if (const auto read = block_or_host_of(report, *cidr, "cidr")) block.networks.push_back(*read);
    return block;
  }
  const std::string domain = string_at(report, &entry, "domainName").value_or("");
  if (domain.empty()) return UnknownPeer{unknown_keys(entry)};
  if (action != Action::accept) {
    report.error(entry, "entry: found a domainName with another action, expected Accept");
  }
  return ClusterDomainNames{{domain}};
}

std::optional<ProtocolPorts> read_ports(const Report& report, const Value& entry) {
  const auto port = read_endpoint_port(report, entry);
  if (!port) return std::nullopt;
  ProtocolPorts read{port->protocol, {}};
  if (port->port) read.ports = std::get<PortRange>(*port->port);
  return read;
}

std::vector<ClusterEndpointInfo> read_infos(const Report& report, const Value& spec, std::string_view direction) {
  std::vector<ClusterEndpointInfo> infos;
  for (const Value* entry : mappings_at(report, &spec, direction)) {
    ClusterEndpointInfo info;
    info.action = read_action(report, *entry, "Accept", true);
    info.peer = read_peer(report, *entry, info.action);
    for (const Value* written : mappings_at(report, entry, "ports")) {
      if (auto ports = read_ports(report, *written)) info.protocols.push_back(*ports);
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

std::string read_policy_ref(const Report& report, const Value& spec) {
  const Value* ref = mapping_at(report, &spec, "policyRef");
  if (ref == nullptr) {
    if (spec.find("policyRef") == nullptr) report.error(spec, "policyRef: found nothing, expected a name in it");
    return {};
  }
  std::string name = required_name(report, *ref, "name");
  const char* expected = name.empty() ? nullptr : wrong_subdomain(name);
  if (expected != nullptr) report.unexpected(*ref->find("name"), "name", expected);
  return name;
}

}  // namespace

AnyObject read_cluster_policy_endpoint(const Report& report, const Value& object, Metadata metadata) {
  ClusterPolicyEndpoint slice;
  slice.name = std::move(metadata.key.name);
  const Value* spec = mapping_at(report, &object, "spec");
  if (spec == nullptr) {
    if (object.find("spec") == nullptr) {
      report.error(object, "spec: found nothing, expected policyRef, tier and priority in it");
    }
    return slice;
  }
  slice.policy = read_policy_ref(report, *spec);
  slice.tier = read_tier(report, *spec);
  slice.priority = read_priority(report, *spec);
  // The first version of the kind had none.
  if (spec->find("subject") != nullptr) slice.subject = read_subject(report, *spec);
  for (const Value* entry : mappings_at(report, spec, "podSelectorEndpoints")) {
    slice.pods.push_back(read_pod_endpoint(report, *entry));
  }
  slice.ingress = read_infos(report, *spec, "ingress");
  slice.egress = read_infos(report, *spec, "egress");
  return slice;
}

}  // namespace postern::manifest
