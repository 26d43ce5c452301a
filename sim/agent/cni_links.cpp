// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/cni_links.h"

#include "sim/cni/cni.h"

namespace postern::sim {
namespace {

// A block around the address, and in it a gateway at its very end, where no scenario has a pod: whoever is
// in the block is reached over the gateway too, so how large it is means nothing.
struct Around {
  Cidr range;
  IpAddress gateway;
};

constexpr int kV4Prefix = 16;
constexpr int kV6Prefix = 64;

Around around(const IpAddress& address) {
  const Cidr range(address, address.is_v4() ? kV4Prefix : kV6Prefix);
  const IpAddress last = range.last();
  if (address.is_v4()) return {range, IpAddress::v4(last.v4_host_order() - 1)};
  auto bytes = last.bytes();
  bytes.back() = 0xfe;
  return {range, IpAddress::v6(bytes)};
}

CniRequest request_of(const PodLinkRequest& request, const Netns& pod) {
  CniRequest made;
  made.pod = request.name;
  made.container_id = "pod-" + std::to_string(request.pod);
  made.netns_path = netns_path(pod);
  made.addresses = request.addresses;
  return made;
}

}  // namespace

CniNetwork CniLinks::network_of(const PodLinkRequest& request) const {
  CniNetwork network;
  network.name = "postern-node-" + std::to_string(request.node);
  network.plugin = plugin_;
  network.state_directory = state_folder_;
  for (const auto& address : request.addresses) {
    const Around block = around(address);
    network.ranges.push_back(block.range);
    network.gateways.push_back(block.gateway);
    const auto& bytes = block.range.network().bytes();
    network.bridge = "cni-" + std::to_string(bytes[0]) + "-" + std::to_string(bytes[1]);
  }
  return network;
}

Result<void> CniLinks::check_bridge(const PodLinkRequest& request) {
  if (plugin_ != CniPlugin::bridge) return {};
  for (const auto& address : request.addresses) {
    const Cidr range = around(address).range;
    if (!address.is_v4()) {
      return fail(ErrorCode::unsupported, "with the CNI plug-in bridge pods have IPv4 only, found " +
                                              address.to_string() + " of " + request.name.to_string());
    }
    if (node_of_.emplace(range, request.node).first->second != request.node) {
      return fail(ErrorCode::unsupported, "with the CNI plug-in bridge all pods of " + range.to_string() +
                                              " stand on one node, found " + request.name.to_string() +
                                              " on another");
    }
  }
  return {};
}

Result<std::string> CniLinks::add(const PodLinkRequest& request, const Netns& pod) {
  if (auto done = check_bridge(request); !done) return fail_as(done);
  const CniNetwork network = network_of(request);
  if (const std::string missing = missing_cni_plugin(network); !missing.empty()) {
    return fail(ErrorCode::unsupported,
                "the CNI plug-in " + missing + " is missing; on Debian it is in containernetworking-plugins");
  }
  auto made = cni_add(network, request_of(request, pod));
  if (!made) return fail_as(made);
  return std::move(made->host_interface);
}

Result<void> CniLinks::remove(const PodLinkRequest& request, const Netns& pod) {
  return cni_del(network_of(request), {request_of(request, pod), request.addresses, ""});
}

}  // namespace postern::sim
