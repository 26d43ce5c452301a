// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/explain.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "cli/commands/cluster.h"
#include "cli/commands/output.h"
#include "engine/base/nearest_names.h"
#include "engine/explain/explain.h"
#include "sim/replay/explanation_json.h"

namespace postern::cli {

namespace {

Result<std::uint8_t> protocol_number(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp}) {
    if (text == to_string(protocol)) return static_cast<std::uint8_t>(protocol);
  }
  return fail(ErrorCode::invalid_input, "protocol \"" + text + "\": expected TCP, UDP, SCTP or ICMP");
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
  const bool icmp = query.protocol == static_cast<std::uint8_t>(Protocol::icmp);
  if (icmp && text.empty()) return std::uint16_t{0};
  if (icmp) return fail(ErrorCode::invalid_input, "ICMP has no ports: leave --port out");
  if (text.empty()) return fail(ErrorCode::invalid_input, "--port is missing: expected a number or a name");
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

Result<ExplainQuery> query_of(const ClusterSnapshot& cluster, const ExplainOptions& options) {
  ExplainQuery query;
  query.strict = options.strict;
  const auto protocol = protocol_number(options.protocol);
  if (!protocol) return fail_as(protocol);
  query.protocol = *protocol;
  const auto from = find_traffic_end(cluster, options.from);
  if (!from) return fail(from.error().code, "--from: " + from.error().message);
  query.from = *from;
  const auto to = find_traffic_end(cluster, options.to);
  if (!to) return fail(to.error().code, "--to: " + to.error().message);
  query.to = *to;
  const auto port = port_of(cluster, query, options.port);
  if (!port) return fail_as(port);
  query.port = *port;
  return query;
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

// The query with the ends' addresses of one family; none: an end has no such address.
std::optional<ExplainQuery> in_family(const ClusterSnapshot& cluster, ExplainQuery query, IpFamily family) {
  const bool has_it = set_family(cluster, family, query.from) && set_family(cluster, family, query.to);
  return has_it ? std::optional(std::move(query)) : std::nullopt;
}

// Two ends of two families may be two stories; the one that is not told must not go unnoticed.
void tell_other_family(const ClusterSnapshot& cluster, const ExplainQuery& query, bool allowed) {
  if (!in_family(cluster, query, IpFamily::v4)) return;  // then IPv6 is what was told
  const auto other = in_family(cluster, query, IpFamily::v6);
  if (!other) return;
  const auto explanation = explain(cluster, *other);
  if (!explanation || explanation->allowed == allowed) return;
  note(std::string("over IPv6 it is ") + (explanation->allowed ? "allowed" : "denied") +
       ": --family IPv6 says why");
}

}  // namespace

int run_explain(const ExplainOptions& options) {
  const auto loaded = load_manifests(options.manifests, options.ignore_unsupported);
  if (!loaded) return 2;
  const ClusterSnapshot* cluster = &loaded->cluster;
  const auto query = query_of(*cluster, options);
  if (!query) return refuse(query.error().to_string());
  std::optional<ExplainQuery> asked = *query;
  if (!options.family.empty()) {
    asked = in_family(*cluster, *query, options.family == "IPv4" ? IpFamily::v4 : IpFamily::v6);
    if (!asked) return refuse("--family " + options.family + ": not both ends have such an address");
  }
  const auto explanation = explain(*cluster, *asked);
  if (!explanation) return refuse(explanation.error().to_string());
  if (options.family.empty()) tell_other_family(*cluster, *query, explanation->allowed);
  std::fputs((options.json ? sim::explanation_json(*explanation) : to_text(*explanation)).c_str(), stdout);
  return explanation->allowed ? 0 : 1;
}

}  // namespace postern::cli
