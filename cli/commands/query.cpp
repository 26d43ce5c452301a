// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/query.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>
#include <vector>

#include "engine/base/nearest_names.h"

namespace postern::cli {

namespace {

Result<std::uint8_t> protocol_number(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp}) {
    if (text == to_string(protocol)) return static_cast<std::uint8_t>(protocol);
  }
  // An IP protocol without a name here.
  if (!text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
    std::uint8_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return number;
  }
  return fail(ErrorCode::invalid_input, "protocol \"" + text + "\": expected TCP, UDP, SCTP, ICMP or 0 to 255");
}

// A name is a port of the destination, a pod or a Service, with the protocol asked for.
Result<std::uint16_t> named_port(const ClusterSnapshot& cluster, const ExplainQuery& query,
                                 const std::string& name) {
  std::string destination;
  std::vector<ContainerPort> ports;
  if (query.to.kind == TrafficEnd::Kind::pod) {
    destination = query.to.pod.to_string();
    ports = cluster.pods.at(query.to.pod).ports;
  } else if (query.to.kind == TrafficEnd::Kind::service) {
    destination = "Service " + query.to.service.to_string();
    for (const auto& port : cluster.services.at(query.to.service).ports) {
      ports.push_back({port.name, port.port, port.protocol});
    }
  } else {
    return fail(ErrorCode::invalid_input,
                "port \"" + name + "\": only pods and Services have named ports, expected a number");
  }
  std::vector<std::string> names;
  for (const auto& port : ports) {
    const bool same_protocol = static_cast<std::uint8_t>(port.protocol) == query.protocol;
    if (port.name == name && same_protocol) return port.port;
    if (!port.name.empty() && same_protocol) names.push_back(port.name);
  }
  std::string known;
  for (const auto& entry : names) known += (known.empty() ? "" : ", ") + entry;
  return fail(ErrorCode::not_found, "port \"" + name + "\": " + destination + " has " +
                                        (known.empty() ? "no named port of that protocol" : known) +
                                        did_you_mean(name, names));
}

Result<std::uint16_t> port_of(const ClusterSnapshot& cluster, const ExplainQuery& query,
                              const std::string& text) {
  const bool has_ports = query.protocol == static_cast<std::uint8_t>(Protocol::tcp) ||
                         query.protocol == static_cast<std::uint8_t>(Protocol::udp) ||
                         query.protocol == static_cast<std::uint8_t>(Protocol::sctp);
  if (!has_ports && text.empty()) return std::uint16_t{0};
  if (query.protocol == static_cast<std::uint8_t>(Protocol::icmp)) {
    return fail(ErrorCode::invalid_input, "ICMP has no ports: leave the port out");
  }
  if (!has_ports) return fail(ErrorCode::invalid_input, "this protocol has no ports: leave the port out");
  if (text.empty()) return fail(ErrorCode::invalid_input, "the port is missing: expected a number or a name");
  if (!std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
    return named_port(cluster, query, text);
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return fail(ErrorCode::invalid_input, "port " + text + ": expected 1 to 65535");
  }
  return port;
}

// The addresses of an end that was named.
std::vector<IpAddress> addresses_of(const ClusterSnapshot& cluster, const TrafficEnd& end) {
  switch (end.kind) {
    case TrafficEnd::Kind::pod: return cluster.pods.at(end.pod).addresses;
    case TrafficEnd::Kind::service: return cluster.services.at(end.service).cluster_ips;
    case TrafficEnd::Kind::node: {
      std::vector<IpAddress> addresses;
      for (const auto& entry : cluster.nodes.at(end.node).addresses) {
        if (entry.type == "InternalIP") addresses.push_back(entry.address);
      }
      return addresses;
    }
    case TrafficEnd::Kind::address: break;
  }
  return {};
}

bool set_family(const ClusterSnapshot& cluster, IpFamily family, TrafficEnd& end) {
  if (end.address) return end.address->family() == family;
  for (const IpAddress& address : addresses_of(cluster, end)) {
    if (address.family() != family) continue;
    end.address = address;
    return true;
  }
  return false;
}

}  // namespace

Result<ExplainQuery> query_of(const ClusterSnapshot& cluster, const QueryText& text) {
  ExplainQuery query;
  query.strict = text.strict;
  const auto protocol = protocol_number(text.protocol);
  if (!protocol) return fail_as(protocol);
  query.protocol = *protocol;
  const auto from = find_traffic_end(cluster, text.from);
  if (!from) return fail(from.error().code, "from: " + from.error().message);
  query.from = *from;
  const auto to = find_traffic_end(cluster, text.to);
  if (!to) return fail(to.error().code, "to: " + to.error().message);
  query.to = *to;
  const auto port = port_of(cluster, query, text.port);
  if (!port) return fail_as(port);
  query.port = *port;
  return query;
}

std::optional<ExplainQuery> in_family(const ClusterSnapshot& cluster, ExplainQuery query, IpFamily family) {
  const bool has_it = set_family(cluster, family, query.from) && set_family(cluster, family, query.to);
  return has_it ? std::optional(std::move(query)) : std::nullopt;
}

}  // namespace postern::cli
