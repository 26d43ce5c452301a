// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/agent_cluster.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "engine/compile/table_sizes.h"
#include "engine/manifest/value.h"
#include "sim/agent/api_server.h"
#include "sim/agent/cni_links.h"
#include "sim/agent/work_folder.h"
#include "sim/netns/netns_cluster.h"
#include "sim/netns/topology.h"

namespace postern::sim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInForceWithin = std::chrono::seconds(30);
constexpr Duration kUsuallyInForceWithin = seconds(4);
constexpr auto kAskAgain = std::chrono::milliseconds(5);

// Addresses between the API server and the agents, link-local and so in nobody's scenario.
constexpr std::uint32_t kServerAddress = 0xa9fec901;  // 169.254.201.1
constexpr std::uint32_t kNodeAddresses = 0xa9fec801;  // 169.254.200.1 and up
constexpr std::uint32_t kLoopback = 1;
constexpr const char* kServerPort = ":6443";

Error unsupported(const std::string& what) {
  return {ErrorCode::unsupported, "the agent backend " + what + "; the tc backend does", {}};
}

// Of a CustomResourceDefinition: what its spec.group and spec.names.kind say; nullopt: of another kind.
Result<std::optional<ApiKey::Kind>> kind_defined_by(const std::string& manifest) {
  std::string group;
  std::string kind;
  const auto read = manifest::parse_documents(manifest, "the definition", [&](const manifest::Value& document) {
    const manifest::Value* spec = document.find("spec");
    const manifest::Value* names = spec == nullptr ? nullptr : spec->find("names");
    if (names == nullptr) return;
    if (const manifest::Value* found = spec->find("group")) group = found->text;
    if (const manifest::Value* found = names->find("kind")) kind = found->text;
  });
  if (!read) return fail_as(read);
  return custom_kind(group, kind);
}

// Where to find a definition.
std::string definition_of(ApiKey::Kind kind) {
  if (kind == ApiKey::Kind::cluster_network_policy) return "deploy/crds/clusternetworkpolicies.yaml";
  const bool amazon = kind == ApiKey::Kind::amazon_cluster_network_policy;
  return std::string("test/apiserver/definitions/") + (amazon ? "amazon" : "") + std::string(plural_of(kind)) + ".yaml";
}

}  // namespace

// In the order in which they need each other: agents go before the namespaces they are in.
struct AgentCluster::State {
  explicit State(AgentClusterOptions of) : options(std::move(of)) {}

  Result<void> start();
  [[nodiscard]] Result<void> check_policies(const ClusterSnapshot& cluster) const;
  Result<void> connect(NodeSlot& node);
  Result<std::map<std::string, double>> bring_server_to(const ClusterSnapshot& cluster);
  Result<void> follow_nodes();
  [[nodiscard]] std::vector<std::string> flags_for(const NodeSlot& node) const;
  void end_other_agents();
  Result<void> wait_until_in_force(const std::map<std::string, double>& versions);
  Result<void> watch_nodes();

  AgentClusterOptions options;
  std::unique_ptr<WorkFolder> folder;
  std::unique_ptr<NetnsCluster> house;
  std::unique_ptr<ApiServer> server;
  ClusterSettings settings;
  std::set<std::uint32_t> connected;  // numbers of nodes
  struct Running {
    std::vector<std::string> flags;
    std::unique_ptr<NodeAgent> agent;
  };
  std::map<std::uint32_t, Running> agents;  // by number of the node, in use or idle
  std::uint64_t started = 0;                // agents, ever
  std::uint64_t barriers = 0;
  std::set<ApiKey::Kind> defined;  // custom kinds that the server knows
};

Result<void> AgentCluster::State::start() {
  if (options.api_server.empty()) {
    return fail(ErrorCode::invalid_input,
                "the agent backend needs an API server: found no --api-server, expected a command that takes "
                "ADDRESS:PORT and FOLDER, such as test/apiserver/for-scenarios");
  }
  auto made = WorkFolder::make();
  if (!made) return fail_as(made);
  folder = std::move(*made);

  TopologyOptions topology;
  topology.pod_links = std::make_shared<CniLinks>(folder->path() + "/cni", options.plugin);
  topology.place_takes = kUsuallyInForceWithin;
  auto cluster = NetnsCluster::make_of(std::move(topology));
  if (!cluster) return fail_as(cluster);
  house = std::move(*cluster);

  const IpAddress address = IpAddress::v4(kServerAddress);
  {
    auto scope = NetnsScope::enter(house->topology().fabric());
    if (!scope) return fail_as(scope);
    auto rtnl = Rtnl::open();
    if (!rtnl) return fail_as(rtnl);
    if (auto done = rtnl->add_address(kLoopback, address); !done) return done;
  }
  auto serving = ApiServer::start(house->topology().fabric(),
                                  {options.api_server, address.to_string() + kServerPort, folder->path() + "/server"});
  if (!serving) return fail_as(serving);
  server = std::move(*serving);
  for (const auto& definition : options.definitions) {
    if (auto done = server->define(definition); !done) return done;
    const auto kind = kind_defined_by(definition);
    if (!kind) return fail_as(kind);
    if (*kind) defined.insert(**kind);
  }
  return {};
}

// Whether this source of policy can hold what a step has.
Result<void> AgentCluster::State::check_policies(const ClusterSnapshot& cluster) const {
  const bool slices = options.policies == ServedPolicies::policy_endpoints;
  if (!cluster.policy_endpoints.empty()) {
    if (!slices) return tl::unexpected(unsupported("takes PolicyEndpoints with --policy-source policyendpoints alone"));
    // They would stand beside those that the NetworkPolicies are written as.
    if (!cluster.network_policies.empty()) {
      return tl::unexpected(unsupported("has one source of policy and takes no PolicyEndpoints beside NetworkPolicies"));
    }
  }
  for (const auto& [id, policy] : cluster.cluster_network_policies) {
    const ApiKey::Kind kind = kind_of(policy);
    const bool slice = kind == ApiKey::Kind::cluster_policy_endpoint;
    if (slice && !slices) {
      return tl::unexpected(
          unsupported("takes " + many_of(kind) + " with --policy-source policyendpoints alone"));
    }
    if (slices && !slice) {
      return tl::unexpected(unsupported("takes no " + many_of(kind) + " with PolicyEndpoints, which have no tiers"));
    }
    if (defined.contains(kind)) continue;
    return fail(ErrorCode::invalid_input, many_of(kind) + " have to be defined: found no --crd of that kind, expected "
                                          "a manifest such as " + definition_of(kind));
  }
  return {};
}

// An address of the node's that the server answers to, whatever addresses a scenario gives it.
Result<void> AgentCluster::State::connect(NodeSlot& node) {
  if (!connected.insert(node.number).second) return {};
  const IpAddress address = IpAddress::v4(kNodeAddresses + node.number);
  {
    auto scope = NetnsScope::enter(node.station.netns);
    if (!scope) return fail_as(scope);
    auto rtnl = Rtnl::open();
    if (!rtnl) return fail_as(rtnl);
    if (auto done = rtnl->add_address(node.link.far_ifindex, address); !done) return done;
  }
  auto scope = NetnsScope::enter(house->topology().fabric());
  if (!scope) return fail_as(scope);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  return rtnl->set_route({Cidr::host(address), node.link.near_ifindex, gateway_address(IpFamily::v4)});
}

std::vector<std::string> AgentCluster::State::flags_for(const NodeSlot& node) const {
  std::vector<std::string> flags{"--kubeconfig=" + server->kubeconfig(), "--node-name=" + api_node_name(node.name)};
  const bool slices = options.policies == ServedPolicies::policy_endpoints;
  flags.push_back(slices ? "--policy-source=policyendpoints" : "--policy-source=kubernetes");
  if (const auto& blocks = settings.enforcer.service_ip_blocks) {
    flags.push_back(std::string("--service-ip-blocks=") + (*blocks == ServiceIpBlocks::compat ? "compat" : "strict"));
  }
  if (settings.enforcer.strict) flags.push_back("--enforcement=strict");
  if (settings.enforcer.established_flows == EstablishedFlows::keep) flags.push_back("--established-flows=keep");
  if (settings.enforcer.midflow_grace.ns > 0) {
    flags.push_back("--midflow-grace=" + std::to_string(settings.enforcer.midflow_grace.ns / 1'000'000'000));
  }
  std::string sizes;
  for (const auto& [table, entries] : unusual_entries(settings.limits)) {
    sizes += (sizes.empty() ? "" : ",") + table + "=" + std::to_string(entries);
  }
  if (!sizes.empty()) flags.push_back("--table-sizes=" + sizes);
  return flags;
}

// Those that have to begin anew, before the nodes forget their connections: an agent has some itself.
void AgentCluster::State::end_other_agents() {
  for (const auto& node : house->topology().nodes()) {
    const auto running = agents.find(node->number);
    if (running == agents.end() || running->second.flags == flags_for(*node)) continue;
    node->watch.reset();
    agents.erase(running);
  }
}

// By resource, as agents call it, the version that has to be in force.
Result<std::map<std::string, double>> AgentCluster::State::bring_server_to(const ClusterSnapshot& cluster) {
  auto objects = api_objects(cluster, options.policies);
  if (!objects) return fail_as(objects);
  ++barriers;
  constexpr auto kBaseline = ApiKey::Kind::baseline_admin_network_policy;
  const bool has_baseline = options.policies == ServedPolicies::network_policies && defined.contains(kBaseline);
  const ApiKey baseline = has_baseline ? stamp_baseline(*objects, barriers) : ApiKey{};
  if (auto done = server->bring_to(*objects); !done) return fail_as(done);
  auto beside = barrier_objects(barriers, options.policies, cluster.nodes);
  std::erase_if(beside, [&](const ApiObject& object) {
    const ApiKey::Kind kind = object.key.kind;
    return is_custom(kind) && kind != ApiKey::Kind::policy_endpoint && !defined.contains(kind);
  });
  const auto barrier = server->put(beside);
  if (!barrier) return fail_as(barrier);
  std::map<std::string, double> versions;
  for (const auto& [kind, version] : *barrier) versions.emplace(resource_name_of(kind), version);
  if (has_baseline) versions.emplace(resource_name_of(kBaseline), server->version_of_held(baseline));
  return versions;
}

Result<void> AgentCluster::State::follow_nodes() {
  for (NodeSlot* node : house->topology().active_nodes()) {
    if (auto done = connect(*node); !done) return done;
    Running& running = agents[node->number];
    auto flags = flags_for(*node);
    if (running.agent && running.flags == flags) continue;
    node->watch.reset();
    running.agent.reset();
    const std::string own = folder->path() + "/agent-" + std::to_string(started++);
    auto agent = NodeAgent::start(node->station.netns, {options.program, own, flags});
    if (!agent) return fail_as(agent);
    running = {std::move(flags), std::move(*agent)};
  }
  return {};
}

// Of agents that are new, once they have pinned what is in force.
Result<void> AgentCluster::State::watch_nodes() {
  for (NodeSlot* node : house->topology().active_nodes()) {
    if (node->watch) continue;
    auto watch = options.watch(*agents.at(node->number).agent);
    if (!watch && watch.error().code == ErrorCode::not_found) continue;
    if (!watch) return fail(watch.error().code, "node " + node->name + ": " + watch.error().message);
    house->watch(*node, std::move(*watch));
  }
  return {};
}

Result<void> AgentCluster::State::wait_until_in_force(const std::map<std::string, double>& versions) {
  const auto give_up = Clock::now() + kInForceWithin;
  for (const NodeSlot* node : house->topology().active_nodes()) {
    NodeAgent& agent = *agents.at(node->number).agent;
    for (;;) {
      const auto there = agent.has_in_force(versions);
      if (!there) return fail(there.error().code, "node " + node->name + ": " + there.error().message);
      if (*there) break;
      if (Clock::now() > give_up) {
        return fail(ErrorCode::io, "node " + node->name + ": the agent has not put the step in force within 30 s\n" +
                                       agent.log_tail());
      }
      std::this_thread::sleep_for(kAskAgain);
    }
  }
  return {};
}

AgentCluster::AgentCluster(std::unique_ptr<State> state) : state_(std::move(state)) {}
AgentCluster::~AgentCluster() = default;

Result<std::unique_ptr<AgentCluster>> AgentCluster::make(AgentClusterOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (auto done = state->start(); !done) return fail_as(done);
  return std::unique_ptr<AgentCluster>(new AgentCluster(std::move(state)));
}

Result<void> AgentCluster::begin(const ClusterSettings& settings) {
  state_->settings = settings;
  state_->end_other_agents();
  if (auto done = state_->server->bring_to({}); !done) return done;
  return state_->house->begin(settings);
}

Result<void> AgentCluster::place(const Placement& placement) {
  if (auto taken = state_->check_policies(placement.cluster); !taken) return taken;
  if (auto done = state_->house->place(placement); !done) return done;
  const auto versions = state_->bring_server_to(placement.cluster);
  if (!versions) return fail_as(versions);
  if (auto done = state_->follow_nodes(); !done) return done;
  if (auto done = state_->wait_until_in_force(*versions); !done) return done;
  return state_->watch_nodes();
}

Result<void> AgentCluster::advance(Duration by) {
  return state_->house->advance(by);
}

Result<std::vector<ProbeOutcome>> AgentCluster::probe(std::span<const ProbeRequest> requests) {
  return state_->house->probe(requests);
}

Result<std::vector<PacketOutcome>> AgentCluster::send(std::span<const PacketRequest> requests) {
  if (state_->options.plugin == CniPlugin::bridge && !requests.empty()) {
    return tl::unexpected(unsupported("cannot send single packets (packets) behind a bridge, which takes them away"));
  }
  return state_->house->send(requests);
}

VerdictNames AgentCluster::names_of(const EndVerdict& verdict) const { return state_->house->names_of(verdict); }

}  // namespace postern::sim
