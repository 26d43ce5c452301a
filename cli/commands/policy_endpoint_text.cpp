// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/policy_endpoint_text.h"

#include <nlohmann/json.hpp>

#include "sim/objects/object_json.h"
#include "sim/objects/yaml_text.h"

namespace postern::cli {

namespace {

using Json = nlohmann::ordered_json;

// A host is written without its length, as the Amazon controller does.
std::string text_of(const Cidr& block) {
  const bool host = block.prefix_length() == block.network().bits();
  return host ? block.network().to_string() : block.to_string();
}

Json object_of(const LabelSelector& selector) {
  Json out = Json::object();
  for (const auto& [key, value] : selector.match_labels) out["matchLabels"][key] = value;
  for (const auto& requirement : selector.match_expressions) {
    Json one{{"key", requirement.key}, {"operator", sim::word_of(requirement.op)}};
    if (!requirement.values.empty()) one["values"] = requirement.values;
    out["matchExpressions"].push_back(std::move(one));
  }
  return out;
}

Json object_of(const PolicyPort& port) {
  Json out{{"protocol", std::string(to_string(port.protocol))}};
  if (!port.port) return out;
  const auto& range = std::get<PortRange>(*port.port);
  out["port"] = range.lo;
  if (range.hi != range.lo) out["endPort"] = range.hi;
  return out;
}

Json list_of(const std::vector<EndpointInfo>& infos) {
  Json out = Json::array();
  for (const auto& info : infos) {
    Json one = Json::object();
    if (info.block) one["cidr"] = text_of(info.block->cidr);
    if (!info.domain_name.empty()) one["domainName"] = info.domain_name;
    if (info.block) {
      for (const auto& except : info.block->excepts) one["except"].push_back(except.to_string());
    }
    for (const auto& port : info.ports) one["ports"].push_back(object_of(port));
    out.push_back(std::move(one));
  }
  return out;
}

std::string address_text(const std::optional<IpAddress>& address) {
  return address ? address->to_string() : std::string();
}

Json spec_of(const PolicyEndpoint& slice) {
  Json spec = Json::object();
  if (slice.pod_selector) spec["podSelector"] = object_of(*slice.pod_selector);
  spec["policyRef"] = {{"name", slice.policy.name}, {"namespace", slice.policy.ns}};
  Json isolation = Json::array();
  if (slice.isolates_ingress) isolation.push_back("Ingress");
  if (slice.isolates_egress) isolation.push_back("Egress");
  spec["podIsolation"] = std::move(isolation);
  for (const auto& pod : slice.pods) {
    spec["podSelectorEndpoints"].push_back({{"hostIP", address_text(pod.host_address)},
                                            {"podIP", address_text(pod.address)},
                                            {"name", pod.pod.name},
                                            {"namespace", pod.pod.ns}});
  }
  if (!slice.ingress.empty()) spec["ingress"] = list_of(slice.ingress);
  if (!slice.egress.empty()) spec["egress"] = list_of(slice.egress);
  return spec;
}

Json object_of(const PolicyEndpoint& slice) {
  Json metadata{{"name", slice.key.name}, {"namespace", slice.key.ns}};
  if (!slice.last_change_trigger_time.empty()) {
    metadata["annotations"][kLastChangeTriggerTime] = slice.last_change_trigger_time;
  }
  return {{"apiVersion", "networking.k8s.aws/v1alpha1"},
          {"kind", "PolicyEndpoint"},
          {"metadata", std::move(metadata)},
          {"spec", spec_of(slice)}};
}

}  // namespace

std::string to_yaml(const std::vector<PolicyEndpoint>& slices) {
  std::string text;
  for (const auto& slice : slices) {
    text += "---\n" + sim::yaml_text(object_of(slice));
  }
  return text;
}

std::string to_json(const std::vector<PolicyEndpoint>& slices) {
  Json items = Json::array();
  for (const auto& slice : slices) items.push_back(object_of(slice));
  const Json list{{"apiVersion", "v1"}, {"kind", "List"}, {"items", std::move(items)}};
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace postern::cli
