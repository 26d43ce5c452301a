// SPDX-License-Identifier: Apache-2.0
// Services and EndpointSlices.
#include "engine/manifest/kinds.h"

namespace postern::manifest {

namespace {

bool is_none(const Value& value) { return value.kind == Kind::string && value.text == "None"; }

void read_cluster_ip(const Report& report, const Value& value, Service& service) {
  if (is_none(value) || (value.kind == Kind::string && value.text.empty())) return;
  const auto address = address_of(report, value, "clusterIP");
  if (!address) return;
  for (const auto& known : service.cluster_ips) {
    if (known == *address) return;
  }
  service.cluster_ips.push_back(*address);
}

std::optional<ServicePort> read_service_port(const Report& report, const Value& entry) {
  ServicePort port;
  port.name = string_at(report, &entry, "name").value_or("");
  const auto protocol = protocol_at(report, &entry);
  const Value* number = entry.find("port");
  if (number == nullptr) {
    report.error(entry, "port: found nothing, expected a port number from 1 to 65535");
    return std::nullopt;
  }
  const auto read = port_number_of(report, *number, "port");
  if (!read || !protocol) return std::nullopt;
  port.port = *read;
  port.protocol = *protocol;
  port.target_port = *read;
  const Value* target = entry.find("targetPort");
  if (target == nullptr) return port;
  // Zero and the empty string are what an absent targetPort looks like in some dumps.
  if ((target->kind == Kind::string && target->text.empty()) || target->text == "0") return port;
  if (const auto target_port = port_of(report, *target, "targetPort")) port.target_port = *target_port;
  return port;
}

}  // namespace

AnyObject read_service(const Report& report, const Value& object, Metadata metadata) {
  ServiceObject read;
  Service& service = read.service;
  service.key = std::move(metadata.key);
  const Value* spec = mapping_at(report, &object, "spec");
  const std::string type = string_at(report, spec, "type").value_or("ClusterIP");
  if (type == "ExternalName") return read;
  Labels selector = label_strings_at(report, spec, "selector");
  if (!selector.empty()) service.selector = std::move(selector);
  auto written = list_at(report, spec, "clusterIPs");
  const Value* first = spec == nullptr ? nullptr : spec->find("clusterIP");
  if (first != nullptr) written.insert(written.begin(), first);
  bool headless = false;
  for (const Value* each : written) {
    headless = headless || is_none(*each);
    read_cluster_ip(report, *each, service);
  }
  for (const Value* entry : mappings_at(report, spec, "ports")) {
    if (auto port = read_service_port(report, *entry)) service.ports.push_back(std::move(*port));
  }
  read.assign_address = !report.live && !headless && service.cluster_ips.empty();
  return read;
}

AnyObject read_endpoint_slice(const Report& report, const Value& object, Metadata metadata) {
  EndpointSlice slice;
  const auto service = metadata.labels.find("kubernetes.io/service-name");
  if (service != metadata.labels.end()) slice.service = service->second;
  slice.key = std::move(metadata.key);
  const bool names = string_at(report, &object, "addressType") == "FQDN";
  for (const Value* entry : mappings_at(report, &object, "endpoints")) {
    EndpointSlice::Endpoint endpoint;
    for (const Value* written : list_at(report, entry, "addresses")) {
      if (names) continue;
      if (const auto address = address_of(report, *written, "addresses")) {
        endpoint.addresses.push_back(*address);
      }
    }
    // "A nil value should be interpreted as ready."
    endpoint.ready = boolean_at(report, mapping_at(report, entry, "conditions"), "ready").value_or(true);
    slice.endpoints.push_back(std::move(endpoint));
  }
  for (const Value* entry : mappings_at(report, &object, "ports")) {
    const Value* port_number = entry->find("port");
    if (port_number == nullptr) continue;  // "every port", which no Service of ours asks for
    // API servers do not look at this number; kube-proxy makes nothing of a wrong one either.
    if (report.live && !is_port_number(*port_number)) continue;
    if (auto port = read_service_port(report, *entry)) slice.ports.push_back(std::move(*port));
  }
  return slice;
}

}  // namespace postern::manifest
