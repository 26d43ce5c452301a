// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/resolve.h"

#include <cstdio>
#include <optional>

#include "cli/commands/cluster.h"
#include "cli/commands/output.h"
#include "cli/commands/policy_endpoint_text.h"
#include "engine/manifest/cluster_state.h"
#include "engine/policy/to_policy_endpoints.h"

namespace postern::cli {

namespace {

// Pods that name no node share one, which has the addresses that were given. None: what is wrong was said.
bool place_pods(const std::vector<std::string>& node_ips, ClusterSnapshot& cluster) {
  std::vector<NodeAddress> addresses;
  for (const auto& text : node_ips) {
    const auto address = IpAddress::parse(text);
    if (!address) {
      refuse("--node-ip: found \"" + text + "\", expected an address like 10.0.0.1 or 2001:db8::1");
      return false;
    }
    for (const auto& other : addresses) {
      if (other.address.family() != address->family()) continue;
      refuse("--node-ip: found " + other.address.to_string() + " and " + text + ", expected one of each family");
      return false;
    }
    addresses.push_back({"InternalIP", *address});
  }
  const auto node = cluster.nodes.find(manifest::kDefaultNodeName);
  if (node != cluster.nodes.end() && !addresses.empty()) node->second.addresses = std::move(addresses);
  return true;
}

}  // namespace

int run_resolve(const ResolveOptions& options) {
  auto loaded = load_manifests(options.manifests, options.ignore_unsupported);
  if (!loaded) return 2;
  ClusterSnapshot& cluster = loaded->cluster;
  if (!place_pods(options.node_ips, cluster)) return 2;
  ToEndpointsOptions endpoints{options.chunk_size, options.changed};
  if (options.service_ip_blocks == "compat") endpoints.service_ip_blocks = ServiceIpBlocks::compat;
  const auto slices = to_policy_endpoints(cluster, endpoints);
  if (!slices) return refuse(slices.error().to_string());
  if (cluster.network_policies.empty()) note("the manifests have no NetworkPolicy: nothing to resolve");
  if (const auto left_out = cluster.cluster_network_policies.size(); left_out != 0) {
    note(std::to_string(left_out) + (left_out == 1 ? " ClusterNetworkPolicy is" : " ClusterNetworkPolicies are") +
         " left out: PolicyEndpoints have no tiers");
  }
  const std::string text = options.json ? to_json(*slices) : to_yaml(*slices);
  if (options.output != "-") return write_file(options.output, text) ? 0 : 2;
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
