// SPDX-License-Identifier: Apache-2.0
// networking.k8s.aws/v1alpha1 PolicyEndpoint, as the Amazon controller writes it: what a NetworkPolicy
// resolves to, cut into slices. It reads only what the kind's own schema would let in, and beyond that
// what a NetworkPolicy can resolve to: a slice that names other namespaces' pods, or a block with an
// except outside it, comes from nobody's policy.
#include "engine/manifest/endpoint_fields.h"
#include "engine/manifest/kinds.h"

namespace postern::manifest {

namespace {

// A string that must be there; empty only where it was reported.
std::string required_string(const Report& report, const Value& parent, std::string_view name) {
  const auto text = string_at(report, &parent, name);
  if (!text && parent.find(name) == nullptr) {
    report.error(parent, std::string(name) + ": found nothing, expected a string");
  }
  return text.value_or("");
}

std::optional<IpAddress> optional_address(const Report& report, const Value& parent, std::string_view name) {
  required_string(report, parent, name);
  const Value* written = parent.find(name);
  return is_empty(written) || written->kind != Kind::string ? std::nullopt : address_of(report, *written, name);
}

}  // namespace

std::optional<Cidr> block_or_host_of(const Report& report, const Value& value, std::string_view name) {
  const auto host = value.kind == Kind::string ? IpAddress::parse(value.text) : std::nullopt;
  return host ? Cidr::host(*host) : cidr_of(report, value, name);
}

bool is_empty(const Value* value) {
  return value == nullptr || (value->kind == Kind::string && value->text.empty());
}

std::optional<PolicyPort> read_endpoint_port(const Report& report, const Value& entry) {
  const Value* port = entry.find("port");
  if (port != nullptr && port->kind == Kind::string) {
    report.unexpected(*port, "port", "a port number from 1 to 65535");
    return std::nullopt;
  }
  return read_policy_port(report, entry);
}

std::string required_name(const Report& report, const Value& parent, std::string_view name) {
  std::string text = required_string(report, parent, name);
  const Value* written = parent.find(name);
  if (text.empty() && written != nullptr && written->kind == Kind::string) {
    report.unexpected(*written, name, "a name");
  }
  return text;
}

PodEndpoint read_pod_endpoint(const Report& report, const Value& entry) {
  PodEndpoint pod;
  pod.pod.name = required_name(report, entry, "name");
  pod.pod.ns = required_name(report, entry, "namespace");
  pod.address = optional_address(report, entry, "podIP");
  pod.host_address = optional_address(report, entry, "hostIP");
  return pod;
}

namespace {

std::optional<IpBlock> read_block(const Report& report, const Value& entry) {
  const Value* cidr = entry.find("cidr");
  const auto excepts = list_at(report, &entry, "except");
  if (is_empty(cidr)) {
    if (!excepts.empty()) {
      report.error(*excepts.front(), "except: found one without a cidr, expected a cidr beside it");
    }
    return std::nullopt;
  }
  const auto read = block_or_host_of(report, *cidr, "cidr");
  if (!read) return std::nullopt;
  IpBlock block{*read, {}};
  for (const Value* written : excepts) {
    const auto except = block_or_host_of(report, *written, "except");
    if (!except) continue;
    if (!block.cidr.contains(*except) || except->prefix_length() <= block.cidr.prefix_length()) {
      report.unexpected(*written, "except", "a block inside " + block.cidr.to_string() + " and narrower");
      continue;
    }
    block.excepts.push_back(*except);
  }
  return block;
}

std::vector<EndpointInfo> read_infos(const Report& report, const Value* spec, std::string_view direction) {
  std::vector<EndpointInfo> infos;
  for (const Value* entry : mappings_at(report, spec, direction)) {
    EndpointInfo info;
    info.block = read_block(report, *entry);
    info.domain_name = string_at(report, entry, "domainName").value_or("");
    for (const Value* written : mappings_at(report, entry, "ports")) {
      if (auto port = read_endpoint_port(report, *written)) info.ports.push_back(std::move(*port));
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

// What the policy is one of, and what it may select, is the namespace of the object: NetworkPolicies
// select pods of their own namespace.
void check_namespace(const Report& report, const Value& parent, const std::string& found,
                     const std::string& own) {
  const Value* written = parent.find("namespace");
  if (written == nullptr || found.empty() || found == own) return;
  report.unexpected(*written, "namespace", "the object's own, " + own);
}

void read_policy_ref(const Report& report, const Value& object, const Value* spec, PolicyEndpoint& slice) {
  const Value* ref = mapping_at(report, spec, "policyRef");
  if (ref == nullptr) {
    if (spec == nullptr || spec->find("policyRef") == nullptr) {
      report.error(spec == nullptr ? object : *spec, "policyRef: found nothing, expected a name and a namespace");
    }
    return;
  }
  slice.policy.name = required_name(report, *ref, "name");
  // Parts of a policy go on after a '#', see engine/policy/policy_endpoints.h.
  const char* expected = wrong_subdomain(slice.policy.name.substr(0, slice.policy.name.find('#')));
  if (!slice.policy.name.empty() && expected != nullptr) report.unexpected(*ref->find("name"), "name", expected);
  slice.policy.ns = required_name(report, *ref, "namespace");
  check_namespace(report, *ref, slice.policy.ns, slice.key.ns);
}

void read_isolation(const Report& report, const Value* spec, PolicyEndpoint& slice) {
  for (const Value* type : list_at(report, spec, "podIsolation")) {
    if (type->kind == Kind::string && type->text == "Ingress") {
      slice.isolates_ingress = true;
    } else if (type->kind == Kind::string && type->text == "Egress") {
      slice.isolates_egress = true;
    } else {
      report.unexpected(*type, "podIsolation", "Ingress or Egress");
    }
  }
}

void read_pods(const Report& report, const Value* spec, PolicyEndpoint& slice) {
  for (const Value* entry : mappings_at(report, spec, "podSelectorEndpoints")) {
    PodEndpoint pod = read_pod_endpoint(report, *entry);
    check_namespace(report, *entry, pod.pod.ns, slice.key.ns);
    slice.pods.push_back(std::move(pod));
  }
}

}  // namespace

AnyObject read_policy_endpoint(const Report& report, const Value& object, Metadata metadata) {
  PolicyEndpoint slice;
  slice.key = std::move(metadata.key);
  const auto changed = metadata.annotations.find(kLastChangeTriggerTime);
  if (changed != metadata.annotations.end()) slice.last_change_trigger_time = changed->second;
  const Value* spec = mapping_at(report, &object, "spec");
  read_policy_ref(report, object, spec, slice);
  if (const Value* selector = mapping_at(report, spec, "podSelector")) {
    slice.pod_selector = read_selector(report, *selector);
  }
  read_isolation(report, spec, slice);
  read_pods(report, spec, slice);
  slice.ingress = read_infos(report, spec, "ingress");
  slice.egress = read_infos(report, spec, "egress");
  return slice;
}

}  // namespace postern::manifest
