// SPDX-License-Identifier: Apache-2.0
// Probe lines -> cells, and each cell -> what is asked: once in every family that both ends have, and
// of a Service every backend.
#include "engine/base/nearest_names.h"
#include "sim/runner/ends.h"
#include "sim/runner/outside.h"
#include "sim/runner/plan.h"
#include "sim/runner/service_port.h"

namespace postern::sim {

namespace {

// Of one step; a cell is about a kilobyte once it has run.
constexpr std::size_t kMaxCells = 1'000'000;
constexpr std::size_t kMaxPairs = 10'000'000;  // that a step's lines name; an overridden one costs time, too

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

// What is asked at one destination.
struct Asked {
  std::uint16_t port = 0;
  const ServicePort* service_port = nullptr;
};

// Nothing: the pair is left out.
Result<std::optional<Asked>> asked_of(const ProbeLine& line, const ResolvedEnd& to, bool exact) {
  if (to.service != nullptr) {
    const auto port = service_port(*to.service, ip_protocol(line.protocol), line.port, line.location);
    if (!port) return fail_as(port);
    return std::optional(Asked{(*port)->port, *port});
  }
  if (line.protocol == ProbeProtocol::icmp || !line.port) return std::optional(Asked{});
  if (const auto* number = std::get_if<std::uint16_t>(&*line.port)) return std::optional(Asked{*number});
  const auto& name = std::get<std::string>(*line.port);
  const auto port = to.pod == nullptr ? std::nullopt : named_port(*to.pod, name, line.protocol);
  if (!port && exact) return no_such_port(line, to, name);
  return port ? std::optional(Asked{*port}) : std::nullopt;
}

bool same_party(const ResolvedEnd& a, const ResolvedEnd& b) {
  const bool outside = a.party.kind == Party::Kind::outside;
  return a.party == b.party && a.service == b.service && (!outside || a.addresses == b.addresses);
}

class Expander {
 public:
  Expander(ScenarioFamily family, PlannedStep& planned)
      : ends_(planned.placement.cluster, family), planned_(planned) {}

  Result<void> add(const ProbeLine& line, std::size_t index) {
    const auto from = ends_.resolve(line.from, line.from_text, line.location);
    if (!from) return fail_as(from);
    const auto to = ends_.resolve(line.to, line.to_text, line.location);
    if (!to) return fail_as(to);
    for (const ResolvedEnd& client : from->ends) {
      if (client.service != nullptr) return service_sends(client, line);
    }
    const std::size_t pairs = from->ends.size() * to->ends.size();
    planned_.pairs += pairs;
    if (pairs > kMaxCells) {
      return fail(ErrorCode::invalid_input,
                  line.from_text + " to " + line.to_text + " are " + std::to_string(from->ends.size()) +
                      " times " + std::to_string(to->ends.size()) + " pairs, expected at most " +
                      std::to_string(kMaxCells) + " in a step",
                  line.location);
    }
    if (planned_.pairs > kMaxPairs) return too_many("pairs, overridden ones counted,", kMaxPairs, line);
    bool idle = true;
    for (const ResolvedEnd& server : to->ends) {
      const auto asked = asked_of(line, server, to->exact);
      if (!asked) return fail_as(asked);
      if (!*asked) continue;
      const auto targets = ends_.targets(server, (*asked)->port, (*asked)->service_port);
      for (const ResolvedEnd& client : from->ends) {
        const bool exact = from->exact && to->exact;
        if (!exact && same_party(client, server)) continue;
        PlannedCell cell{{}, line.expect, index, client.literal || server.literal};
        for (const Target& target : targets) add_request(client, line.protocol, target, cell);
        if (cell.requests.empty() && exact) return no_common_family(client, server, line);
        if (cell.requests.empty()) continue;
        idle = false;
        planned_.cells[CellKey{client.text, server.text, line.protocol, (*asked)->port}] = std::move(cell);
      }
    }
    if (planned_.cells.size() > kMaxCells) return too_many("cells,", kMaxCells, line);
    if (idle) planned_.idle.push_back(&line);
    return {};
  }

 private:
  void add_request(const ResolvedEnd& client, ProbeProtocol protocol, const Target& target,
                   PlannedCell& cell) {
    const auto address = client.address(target.to.address.family());
    if (!address) return;
    cell.requests.push_back({client.at(*address), target.to, protocol, target.port, target.via});
    note_outside(cell.requests.back().from, planned_.placement);
    note_outside(cell.requests.back().to, planned_.placement);
  }

  static tl::unexpected<Error> too_many(const std::string& what, std::size_t most, const ProbeLine& line) {
    return fail(ErrorCode::invalid_input,
                "with " + line.from_text + " to " + line.to_text + " the step has more than " +
                    std::to_string(most) + ' ' + what + " expected at most that many",
                line.location);
  }

  static tl::unexpected<Error> service_sends(const ResolvedEnd& client, const ProbeLine& line) {
    return fail(ErrorCode::invalid_input,
                line.from_text + " is a ClusterIP of Service " + client.service->key.to_string() +
                    ", which sends nothing, expected a Service only in to",
                line.location);
  }

  static tl::unexpected<Error> no_common_family(const ResolvedEnd& client, const ResolvedEnd& server,
                                                const ProbeLine& line) {
    return fail(ErrorCode::invalid_input,
                client.text + " and " + server.text + " have no address family in common", line.location);
  }

  EndResolver ends_;
  PlannedStep& planned_;
};

}  // namespace

Result<void> expand_probes(const std::vector<ProbeLine>& lines, ScenarioFamily family, PlannedStep& planned) {
  Expander expander(family, planned);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (auto added = expander.add(lines[i], i); !added) return added;
  }
  sort_outside(planned.placement);
  return {};
}

}  // namespace postern::sim
