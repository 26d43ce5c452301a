// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/plan.h"

#include <algorithm>
#include <tuple>

#include "engine/base/nearest_names.h"
#include "engine/manifest/cluster_state.h"
#include "sim/runner/ends.h"

namespace postern::sim {

namespace {

std::optional<std::uint16_t> named_port(const Pod& pod, const std::string& name, ProbeProtocol protocol) {
  for (const ContainerPort& port : pod.ports) {
    if (port.name == name && port.protocol == ip_protocol(protocol)) return port.port;
  }
  return std::nullopt;
}

tl::unexpected<Error> no_such_port(const ProbeLine& line, const ResolvedEnd& to, const std::string& name) {
  if (to.pod == nullptr) {
    return fail(ErrorCode::not_found, to.text + " is no pod, so port \"" + name + "\" must be a number",
                line.location);
  }
  std::vector<std::string> names;
  for (const ContainerPort& port : to.pod->ports) {
    if (!port.name.empty() && port.protocol == ip_protocol(line.protocol)) names.push_back(port.name);
  }
  return fail(ErrorCode::not_found,
              "pod " + to.text + " has no " + std::string(to_string(line.protocol)) + " port named \"" +
                  name + "\"" + did_you_mean(name, names),
              line.location);
}

// The port of one pair. Nothing: the pair is left out.
Result<std::optional<std::uint16_t>> port_of(const ProbeLine& line, const ResolvedEnd& to, bool exact) {
  if (line.protocol == ProbeProtocol::icmp || !line.port) return std::optional<std::uint16_t>(0);
  if (const auto* number = std::get_if<std::uint16_t>(&*line.port)) return std::optional(*number);
  const auto& name = std::get<std::string>(*line.port);
  const auto port = to.pod == nullptr ? std::nullopt : named_port(*to.pod, name, line.protocol);
  if (!port && exact) return no_such_port(line, to, name);
  return port;
}

void note_outside(const Party& party, std::vector<IpAddress>& outside) {
  if (party.kind == Party::Kind::outside) outside.push_back(party.address);
}

void sort_unique(std::vector<IpAddress>& addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

class Expander {
 public:
  explicit Expander(PlannedStep& planned) : ends_(planned.placement.cluster), planned_(planned) {}

  Result<void> add(const ProbeLine& line, std::size_t index) {
    const auto from = ends_.resolve(line.from, line.from_text, line.location);
    if (!from) return fail_as(from);
    const auto to = ends_.resolve(line.to, line.to_text, line.location);
    if (!to) return fail_as(to);
    const bool judges_self = from->exact && to->exact;
    bool idle = true;
    for (const ResolvedEnd& client : from->ends) note_outside(client.party, planned_.placement.outside);
    for (const ResolvedEnd& server : to->ends) {
      note_outside(server.party, planned_.placement.outside);
      const auto port = port_of(line, server, to->exact);
      if (!port) return fail_as(port);
      if (!*port) continue;
      for (const ResolvedEnd& client : from->ends) {
        if (!judges_self && client.party == server.party) continue;
        idle = false;
        planned_.cells[CellKey{client.text, server.text, line.protocol, **port}] =
            PlannedCell{client.party, server.party, line.expect, index};
      }
    }
    if (idle) planned_.idle.push_back(&line);
    return {};
  }

 private:
  EndResolver ends_;
  PlannedStep& planned_;
};

Result<ResolvedEnd> packet_end(EndResolver& ends, const End& end, const std::string& text,
                               const Location& where) {
  auto found = ends.resolve(end, text, where);
  if (!found) return fail_as(found);
  if (found->ends.size() != 1) {
    return fail(ErrorCode::invalid_input,
                text + " matches " + std::to_string(found->ends.size()) +
                    " pods; a packet has one sender and one receiver",
                where);
  }
  return found->ends.front();
}

Result<void> plan_packets(PlannedStep& planned) {
  EndResolver ends(planned.placement.cluster);
  for (const PacketLine& line : planned.step->packets) {
    const auto from = packet_end(ends, line.from, line.from_text, line.location);
    if (!from) return fail_as(from);
    const auto to = packet_end(ends, line.to, line.to_text, line.location);
    if (!to) return fail_as(to);
    note_outside(from->party, planned.placement.outside);
    note_outside(to->party, planned.placement.outside);
    planned.packets.push_back({&line, from->text, to->text, from->party, to->party});
  }
  return {};
}

// IPv6 comes next: until then no backend may take such an address for none at all.
Result<void> check_family(const ClusterSnapshot& cluster, const Location& where) {
  const auto refuse = [&](const std::string& who, const IpAddress& address) {
    return fail(ErrorCode::unsupported,
                who + " has address " + address.to_string() + ": IPv6 is not supported yet", where);
  };
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live()) continue;
    for (const IpAddress& address : pod.addresses) {
      if (!address.is_v4()) return refuse("pod " + key.to_string(), address);
    }
  }
  for (const auto& [name, node] : cluster.nodes) {
    for (const NodeAddress& entry : node.addresses) {
      if (!entry.address.is_v4()) return refuse("node " + name, entry.address);
    }
  }
  return {};
}

void reserve_literals(manifest::ClusterState& state, const Scenario& scenario) {
  const auto reserve = [&](const End& end) {
    if (const auto* address = std::get_if<IpAddress>(&end)) state.reserve(*address);
  };
  for (const Step& step : scenario.steps) {
    for (const ProbeLine& line : step.probes) {
      reserve(line.from);
      reserve(line.to);
    }
    for (const PacketLine& line : step.packets) {
      reserve(line.from);
      reserve(line.to);
      if (line.source) state.reserve(*line.source);
    }
  }
}

}  // namespace

std::string_view to_string(ProbeProtocol protocol) {
  switch (protocol) {
    case ProbeProtocol::tcp: return "TCP";
    case ProbeProtocol::udp: return "UDP";
    case ProbeProtocol::sctp: return "SCTP";
    case ProbeProtocol::icmp: return "ICMP";
  }
  return "unknown";
}

std::string_view to_string(Expectation expectation) {
  return expectation == Expectation::allow ? "allow" : "deny";
}

bool operator<(const CellKey& a, const CellKey& b) {
  if (const int order = a.from.compare(b.from); order != 0) return order < 0;
  if (const int order = a.to.compare(b.to); order != 0) return order < 0;
  if (a.protocol != b.protocol) return to_string(a.protocol) < to_string(b.protocol);
  return a.port < b.port;
}

Result<void> expand_probes(const std::vector<ProbeLine>& lines, PlannedStep& planned) {
  Expander expander(planned);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (auto added = expander.add(lines[i], i); !added) return added;
  }
  sort_unique(planned.placement.outside);
  return {};
}

Result<Plan> make_plan(const Scenario& scenario) {
  if (scenario.family != ScenarioFamily::v4) {
    return fail(ErrorCode::unsupported, "ipFamily IPv6 and DualStack are not supported yet",
                {scenario.file, 0, 0});
  }
  manifest::ClusterState state;
  state.reserve(scenario.manifests);
  for (const Step& step : scenario.steps) state.reserve(step.applies);
  reserve_literals(state, scenario);
  if (auto loaded = state.apply({}, scenario.manifests); !loaded) return fail_as(loaded);

  Plan plan;
  plan.scenario = &scenario;
  for (const Step& step : scenario.steps) {
    PlannedStep planned;
    planned.step = &step;
    auto cluster = state.apply(step.deletes, step.applies);
    if (!cluster) {
      Error error = cluster.error();
      if (error.location.file.empty()) error.location = step.location;
      return tl::unexpected<Error>(error);
    }
    if (auto checked = check_family(*cluster, step.location); !checked) return fail_as(checked);
    planned.placement.cluster = std::move(*cluster);
    planned.placement.trace_all = !step.packets.empty();
    if (auto expanded = expand_probes(step.probes, planned); !expanded) return fail_as(expanded);
    if (auto packets = plan_packets(planned); !packets) return fail_as(packets);
    sort_unique(planned.placement.outside);
    plan.steps.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace postern::sim
