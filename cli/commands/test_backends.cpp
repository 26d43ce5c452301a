// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/test_backends.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

#include "backends/registry.h"
#include "backends/tc/features.h"
#include "cli/commands/pinned_watch.h"
#include "files/manifest_files.h"
#include "sim/agent/agent_cluster.h"
#include "sim/netns/netns_cluster.h"
#include "sim/netns/sandbox.h"
#include "sim/virtual/virtual_cluster.h"

namespace postern::cli {

namespace {

bool is_plain(const std::string& word) {
  return !word.empty() && word.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_@%+=:,./-") == std::string::npos;
}

std::string shell_quoted(const std::string& word) {
  if (is_plain(word)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

BackendFactory factory_of(std::string_view name) {
  BackendOptions options;
  // A developer's door: another BPF object in place of the embedded one, to see the suite catch it.
  if (const char* object = std::getenv("POSTERN_BPF_OBJECT")) options.bpf_object = object;
  for (const BackendEntry& entry : all_backends(options)) {
    if (entry.name == name) return entry.factory;
  }
  return {};
}

Result<std::unique_ptr<sim::Cluster>> make_tc() {
  const tc::Feature bpf = tc::probe_bpf();
  if (!bpf.available)
    return fail(ErrorCode::permission, "the kernel backend cannot start: BPF programs: " + bpf.detail);
  return sim::make_netns_cluster(factory_of("tc"));
}

std::string own_path() {
  std::array<char, PATH_MAX> path{};
  const auto length = readlink("/proc/self/exe", path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string{};
}

Result<std::unique_ptr<sim::Cluster>> make_agent(const AgentBackend& agent) {
  sim::AgentClusterOptions options;
  options.program = own_path();
  options.api_server = agent.api_server;
  options.watch = watch_pinned;
  if (agent.cni == "bridge") options.plugin = sim::CniPlugin::bridge;
  if (agent.policy_source == "policyendpoints") {
    options.policies = sim::ServedPolicies::policy_endpoints;
    if (agent.crds.empty()) {
      return fail(ErrorCode::invalid_input,
                  "PolicyEndpoints have to be defined: found no --crd, expected a manifest such as "
                  "deploy/crds/policyendpoints.yaml");
    }
  }
  for (const auto& crd : agent.crds) {
    auto text = load_text_file(crd);
    if (!text) return fail_as(text);
    options.definitions.push_back(std::move(*text));
  }
  auto cluster = sim::AgentCluster::make(std::move(options));
  if (!cluster) return fail_as(cluster);
  return std::unique_ptr<sim::Cluster>(std::move(*cluster));
}

}  // namespace

std::string sudo_command(const std::vector<std::string>& argv) {
  std::string text = "sudo";
  for (std::size_t i = 0; i < argv.size(); ++i) {
    std::string word = argv[i];
    // A bare name was found on a PATH that sudo may not have.
    if (i == 0 && word.find('/') == std::string::npos) {
      if (std::string path = own_path(); !path.empty()) word = std::move(path);
    }
    text += ' ' + shell_quoted(word);
  }
  return text;
}

BackendFactory replay_backend() { return factory_of("native"); }

Result<void> prepare_backends(const std::string& backend, const std::vector<std::string>& argv) {
  if (backend == "sim") return {};
  auto inside = sim::enter_sandbox();
  if (inside || inside.error().code != ErrorCode::permission) return inside;
  return fail(ErrorCode::permission, "the kernel backend cannot start: " + inside.error().message +
                                         "\nthis would work: " + sudo_command(argv));
}

Result<std::vector<std::unique_ptr<sim::Cluster>>> make_clusters(const std::string& backend,
                                                                 const AgentBackend& agent) {
  std::vector<std::unique_ptr<sim::Cluster>> clusters;
  if (backend == "agent") {
    auto cluster = make_agent(agent);
    if (!cluster) return fail_as(cluster);
    clusters.push_back(std::move(*cluster));
    return clusters;
  }
  if (backend != "tc") {
    clusters.push_back(std::make_unique<sim::VirtualCluster>("sim", factory_of("native")));
  }
  if (backend != "sim") {
    auto cluster = make_tc();
    if (!cluster) return fail_as(cluster);
    clusters.push_back(std::move(*cluster));
  }
  return clusters;
}

}  // namespace postern::cli
