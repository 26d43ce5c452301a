// SPDX-License-Identifier: Apache-2.0
// The verdicts come from a run of the virtual cluster, and the finished text is run once more before it
// is written: what `init` writes passes as it stands.
#include "cli/commands/init.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <vector>

#include "cli/commands/output.h"
#include "cli/commands/test_backends.h"
#include "engine/manifest/cluster_state.h"
#include "files/manifest_files.h"
#include "sim/runner/glob.h"
#include "sim/runner/plan.h"
#include "sim/runner/run.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::cli {

namespace {

namespace fs = std::filesystem;
using sim::Expectation;

struct PortKey {
  std::uint16_t port = 0;
  sim::ProbeProtocol protocol = sim::ProbeProtocol::tcp;
  friend auto operator<=>(const PortKey&, const PortKey&) = default;
};

// Pods that are written as one: a pod, or the pods of a workload as a glob.
struct Group {
  std::string text;
  std::string ns;
  std::vector<std::string> pods;
};

struct Loaded {
  std::vector<std::string> files;  // that hold objects of use
  sim::Scenario scenario;          // without probes
  ClusterSnapshot cluster;
};

std::optional<Loaded> load(const InitOptions& options) {
  const auto files = list_manifest_files(options.manifests);
  if (!files) return refuse(files.error().to_string()), std::nullopt;
  Loaded loaded;
  bool bad = false;
  for (const auto& file : *files) {
    auto read = postern::load_manifests(file);
    if (!read) {
      for (const auto& error : read.error()) refuse(error.to_string());
      bad = true;
      continue;
    }
    if (!read->objects.empty()) loaded.files.push_back(file);
    for (auto& object : read->objects) loaded.scenario.manifests.push_back(std::move(object));
  }
  if (bad) return std::nullopt;
  return loaded;
}

// The family that the pods are written in; IPv4 where nothing is written.
sim::ScenarioFamily family_of(const std::vector<manifest::Object>& objects) {
  bool v4 = false;
  bool v6 = false;
  for (const auto& object : objects) {
    const auto* pod = std::get_if<manifest::PodObject>(&object.value);
    for (const auto& address : pod == nullptr ? std::vector<IpAddress>{} : pod->pod.addresses) {
      (address.is_v4() ? v4 : v6) = true;
    }
  }
  if (v4 && v6) return sim::ScenarioFamily::dual;
  return v6 ? sim::ScenarioFamily::v6 : sim::ScenarioFamily::v4;
}

sim::ProbeProtocol probe_protocol(Protocol protocol) {
  if (protocol == Protocol::udp) return sim::ProbeProtocol::udp;
  return protocol == Protocol::sctp ? sim::ProbeProtocol::sctp : sim::ProbeProtocol::tcp;
}

std::vector<const Pod*> live_pods(const ClusterSnapshot& cluster) {
  std::vector<const Pod*> pods;
  for (const auto& entry : cluster.pods) {
    if (entry.second.live()) pods.push_back(&entry.second);
  }
  return pods;
}

using PortUsers = std::map<PortKey, std::set<std::string>>;

// Both ends of an entry that gives numbers.
void add_numbers(const PolicyPort& port, PortUsers& ports) {
  if (!port.port || !std::holds_alternative<PortRange>(*port.port)) return;
  const auto& range = std::get<PortRange>(*port.port);
  ports[{range.lo, probe_protocol(port.protocol)}];
  ports[{range.hi, probe_protocol(port.protocol)}];
}

// Ports that containers or policies name, each with the pods that have it; none of them: every pod.
PortUsers ports_of(const ClusterSnapshot& cluster) {
  PortUsers ports;
  for (const auto& [key, policy] : cluster.network_policies) {
    for (const auto* rules : {&policy.ingress, &policy.egress}) {
      for (const auto& rule : *rules) {
        for (const auto& port : rule.ports) add_numbers(port, ports);
      }
    }
  }
  for (const auto& [key, slice] : cluster.policy_endpoints) {
    for (const auto* infos : {&slice.ingress, &slice.egress}) {
      for (const auto& info : *infos) {
        for (const auto& port : info.ports) add_numbers(port, ports);
      }
    }
  }
  for (const Pod* pod : live_pods(cluster)) {
    for (const auto& port : pod->ports) {
      ports[{port.port, probe_protocol(port.protocol)}].insert(pod->key.to_string());
    }
  }
  if (ports.empty()) ports[{80, sim::ProbeProtocol::tcp}];
  return ports;
}

std::vector<Group> groups_of(const ClusterSnapshot& cluster) {
  const auto pods = live_pods(cluster);
  std::map<std::string, std::vector<const Pod*>> workloads;
  for (const Pod* pod : pods) workloads[pod->key.ns + "/" + pod->workload].push_back(pod);
  std::vector<Group> groups;
  for (const auto& workload : workloads) {
    const auto& members = workload.second;
    const std::string& name = members.front()->key.name;
    const std::string glob = name.substr(0, name.rfind('-')) + "-*";
    const auto matched = std::count_if(pods.begin(), pods.end(), [&](const Pod* pod) {
      return pod->key.ns == members.front()->key.ns && sim::glob_matches(glob, pod->key.name);
    });
    // Pods on the host's network are traffic of their nodes, which every node judges for itself.
    const bool one = !members.front()->workload.empty() && members.size() > 1 &&
                     !members.front()->host_network && static_cast<std::size_t>(matched) == members.size();
    if (one) groups.push_back({members.front()->key.ns + "/" + glob, members.front()->key.ns, {}});
    for (const Pod* pod : members) {
      if (!one) groups.push_back({pod->key.to_string(), pod->key.ns, {}});
      groups.back().pods.push_back(pod->key.to_string());
    }
  }
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.text < b.text; });
  return groups;
}

Result<sim::ScenarioResult> run(const sim::Scenario& scenario) {
  const auto plan = sim::make_plan(scenario);
  if (!plan) return fail_as(plan);
  auto clusters = make_clusters("sim", {});
  if (!clusters) return fail_as(clusters);
  return sim::run_plan(*plan, *clusters->front());
}

// What every pod may say to every other at these ports.
Result<std::map<sim::CellKey, Expectation>> verdicts_of(
    sim::Scenario scenario, const std::map<PortKey, std::set<std::string>>& ports) {
  sim::Step step;
  for (const auto& entry : ports) {
    sim::ProbeLine line;
    line.from_text = line.to_text = "*/*";
    line.from = line.to = sim::PodGlob{"*", "*"};
    line.port = entry.first.port;
    line.protocol = entry.first.protocol;
    step.probes.push_back(std::move(line));
  }
  scenario.steps = {std::move(step)};
  const auto result = run(scenario);
  if (!result) return fail_as(result);
  std::map<sim::CellKey, Expectation> verdicts;
  for (const auto& cell : result->steps.front().cells) {
    if (cell.got == sim::CellVerdict::differ) {
      return fail(ErrorCode::invalid_input, sim::to_string(cell.key) +
                                                " is allowed in one address family and denied in the other, "
                                                "expected policies that treat both alike");
    }
    verdicts[cell.key] = cell.got == sim::CellVerdict::allow ? Expectation::allow : Expectation::deny;
  }
  return verdicts;
}

// Few lines that say all verdicts: for each port a general one, then what differs.
class Folder {
 public:
  Folder(const std::vector<Group>& groups, const std::map<sim::CellKey, Expectation>& verdicts)
      : groups_(groups), verdicts_(verdicts) {}

  std::string fold(const PortKey& port, const std::set<std::string>& having) {
    text_.clear();
    port_ = port;
    std::vector<const Group*> servers;
    for (const auto& group : groups_) {
      if (having.empty() || having.count(group.pods.front()) != 0) servers.push_back(&group);
    }
    if (servers.size() < groups_.size()) {
      for (const Group* server : servers) fold_server(*server, std::nullopt);
      return text_;
    }
    int balance = 0;
    for (const Group* server : servers) balance += balance_of(*server);
    const Expectation general = balance >= 0 ? Expectation::allow : Expectation::deny;
    line("*/*", "*/*", general);
    for (const Group* server : servers) fold_server(*server, general);
    return text_;
  }

 private:
  // None: the pair has no cell, as a pod with itself.
  [[nodiscard]] std::optional<Expectation> verdict(const Group& client, const Group& server) const {
    for (const auto& from : client.pods) {
      for (const auto& to : server.pods) {
        const auto found = verdicts_.find({from, to, port_.protocol, port_.port});
        if (found != verdicts_.end()) return found->second;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] int balance_of(const Group& server) const {
    int balance = 0;
    for (const auto& client : groups_) {
      const auto found = verdict(client, server);
      if (found) balance += *found == Expectation::allow ? 1 : -1;
    }
    return balance;
  }

  void fold_server(const Group& server, std::optional<Expectation> above) {
    const bool judged = std::any_of(groups_.begin(), groups_.end(),
                                    [&](const Group& client) { return verdict(client, server).has_value(); });
    if (!judged) return;
    const Expectation most = balance_of(server) >= 0 ? Expectation::allow : Expectation::deny;
    if (above != most) line("*/*", server.text, most);
    const Expectation other = most == Expectation::allow ? Expectation::deny : Expectation::allow;
    std::map<std::string, std::vector<const Group*>> exceptions;
    std::map<std::string, std::size_t> members;
    for (const auto& client : groups_) {
      const auto found = verdict(client, server);
      if (!found) continue;
      ++members[client.ns];
      if (*found == other) exceptions[client.ns].push_back(&client);
    }
    for (const auto& [ns, clients] : exceptions) {
      if (clients.size() > 1 && clients.size() == members[ns]) {
        line(ns + "/*", server.text, other);
      } else {
        for (const Group* client : clients) line(client->text, server.text, other);
      }
    }
  }

  void line(const std::string& from, const std::string& to, Expectation expect) {
    text_ += fmt::format("    - {{from: \"{}\", to: \"{}\", port: {}, protocol: {}, expect: {}}}\n", from, to,
                         port_.port, sim::to_string(port_.protocol), sim::to_string(expect));
  }

  const std::vector<Group>& groups_;
  const std::map<sim::CellKey, Expectation>& verdicts_;
  PortKey port_;
  std::string text_;
};

// The groups whose pods are not treated alike, as pods of different nodes may be.
std::set<std::string> mixed_groups(const std::vector<Group>& groups,
                                   const std::map<sim::CellKey, Expectation>& verdicts) {
  std::map<std::string, const Group*> group_of;
  for (const auto& group : groups) {
    for (const auto& pod : group.pods) group_of[pod] = &group;
  }
  std::set<std::string> mixed;
  std::map<sim::CellKey, Expectation> folded;
  for (const auto& [cell, verdict] : verdicts) {
    const Group& from = *group_of.at(cell.from);
    const Group& to = *group_of.at(cell.to);
    const sim::CellKey key{from.text, to.text, cell.protocol, cell.port};
    if (folded.emplace(key, verdict).first->second == verdict) continue;
    if (from.pods.size() > 1) mixed.insert(from.text);
    if (to.pods.size() > 1) mixed.insert(to.text);
  }
  return mixed;
}

// Pods that are not treated alike are written one by one.
void split_mixed(std::vector<Group>& groups, const std::map<sim::CellKey, Expectation>& verdicts) {
  while (true) {
    const auto mixed = mixed_groups(groups, verdicts);
    if (mixed.empty()) return;
    std::vector<Group> split;
    for (const auto& group : groups) {
      if (mixed.count(group.text) == 0) split.push_back(group);
      for (const auto& pod : mixed.count(group.text) == 0 ? std::vector<std::string>{} : group.pods) {
        split.push_back({pod, group.ns, {pod}});
      }
    }
    groups = std::move(split);
  }
}

std::string name_of(const std::string& path) {
  std::string name;
  for (const char c : fs::weakly_canonical(path).filename().string()) {
    const bool right = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (right) name += c;
    if (c >= 'A' && c <= 'Z') name += static_cast<char>(c - 'A' + 'a');
    if (!right && !name.empty() && name.back() != '-') name += '-';
  }
  return name.empty() ? "first" : name;
}

std::string yaml_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += (c == '"' || c == '\\' ? std::string("\\") : "") + c;
  return out + "\"";
}

std::string head_of(const InitOptions& options, const Loaded& loaded) {
  static constexpr const char* kFamilies[] = {"IPv4", "IPv6", "DualStack"};
  const std::string file = options.output == "-" ? "FILE" : options.output;
  const fs::path folder = options.output == "-" ? fs::path(".") : fs::path(options.output).parent_path();
  std::string manifests;
  for (const auto& path : loaded.files) {
    manifests += "  - " + yaml_quoted(fs::relative(path, folder.empty() ? "." : folder).string()) + "\n";
  }
  return fmt::format(
      "# What the policies of these manifests let through today. Run it with:\n"
      "#   postern test {}\n"
      "# A line that you do not want to be true is a hole in a policy: change `expect`, see the run fail and "
      "say\n"
      "# why, then change the policy until it passes.\n"
      "apiVersion: postern.dev/v1alpha1\n"
      "kind: Scenario\n"
      "metadata:\n"
      "  name: {}\n"
      "spec:\n"
      "  ipFamily: {}\n"
      "  # Loaded before the first step; paths are relative to this file.\n"
      "  manifests:\n{}"
      "  steps:\n"
      "  - name: as it is\n"
      "    # To try a change, apply or delete objects here, as kubectl takes them:\n"
      "    # apply:\n"
      "    # - {{apiVersion: v1, kind: Pod, metadata: {{name: stranger, namespace: default}}}}\n"
      "    # A later line overrides an earlier one for every pair it matches; * is any run of characters but "
      "/.\n"
      "    # Ends can also be addresses (203.0.113.7), node:NAME and, in `to`, service:namespace/name.\n"
      "    probes:\n",
      file, name_of(options.manifests), kFamilies[static_cast<std::size_t>(loaded.scenario.family)],
      manifests);
}

// What has been written passes: it is read and run as `postern test` would.
Result<void> check(const std::string& text, const std::string& output) {
  const auto file = sim::read_scenario(text, output == "-" ? "scenario.yaml" : output);
  if (!file.scenario) {
    return tl::unexpected<Error>(file.errors.empty() ? Error{ErrorCode::internal, "the file is no scenario"}
                                                     : file.errors.front());
  }
  const auto result = run(*file.scenario);
  if (!result) return fail_as(result);
  if (!result->passed())
    return fail(ErrorCode::internal, "the scenario does not hold what the run before said");
  return {};
}

Result<std::string> text_of(const InitOptions& options, Loaded& loaded) {
  auto ports = ports_of(loaded.cluster);
  const auto verdicts = verdicts_of(loaded.scenario, ports);
  if (!verdicts) return fail_as(verdicts);
  auto groups = groups_of(loaded.cluster);
  split_mixed(groups, *verdicts);
  std::string text = head_of(options, loaded);
  Folder folder(groups, *verdicts);
  bool any = false;
  for (const auto& [port, having] : ports) {
    const std::string lines = folder.fold(port, having);
    any = any || !lines.empty();
    text += lines;
  }
  if (!any) {
    return fail(ErrorCode::not_found,
                "found one pod alone, expected at least two that can talk to each other",
                {options.manifests, 0, 0});
  }
  return text;
}

}  // namespace

int run_init(const InitOptions& options) {
  std::error_code error;
  if (options.output != "-" && !options.force && fs::exists(fs::symlink_status(options.output, error))) {
    return refuse(options.output +
                  " is there already, expected another --output, or --force to overwrite it");
  }
  auto loaded = load(options);
  if (!loaded) return 2;
  if (auto checked = check_output(options.output, loaded->files); !checked) {
    return refuse(checked.error().to_string());
  }
  loaded->scenario.file = options.manifests;
  loaded->scenario.family = family_of(loaded->scenario.manifests);
  // The objects of the whole scenario as its first step has them.
  sim::Scenario empty = loaded->scenario;
  empty.steps = {sim::Step{}};
  auto plan = sim::make_plan(empty);
  if (!plan) return refuse(plan.error().to_string());
  loaded->cluster = plan->steps.front().placement.cluster;
  if (live_pods(loaded->cluster).size() < 2) {
    return refuse(options.manifests + ": found " + std::to_string(live_pods(loaded->cluster).size()) +
                  " pods, expected at least two: Pods, or workloads that make them");
  }
  const auto text = text_of(options, *loaded);
  if (!text) return refuse(text.error().to_string());
  if (const auto checked = check(*text, options.output); !checked) return refuse(checked.error().to_string());
  if (options.output == "-") {
    std::fputs(text->c_str(), stdout);
    return 0;
  }
  return write_file(options.output, *text) ? 0 : 2;
}

}  // namespace postern::cli
