// SPDX-License-Identifier: Apache-2.0
// Pods as a container runtime makes them: an empty network namespace, and a CNI plug-in that is called to
// give it an interface (CNI specification 1.0.0). The plug-ins are the reference ones, `ptp` and `bridge`
// with `host-local` addresses; they work in the caller's network namespace, which is the node's and has to
// have IPv6 on for pods with IPv6 (one of make_pod_netns() will do).
#pragma once

#include <string>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/model/objects.h"
#include "sim/netns/netns.h"

namespace postern::sim {

// ptp: a veth, an address and a host route for each pod. bridge: the host's ends are ports of one bridge.
enum class CniPlugin : std::uint8_t { ptp, bridge };

struct CniNetwork {
  std::string name;
  CniPlugin plugin = CniPlugin::ptp;
  std::string bridge = "cni0";   // made when the first pod comes; the plug-in never removes it
  std::vector<Cidr> ranges;      // a pod gets an address of each
  std::vector<IpAddress> gateways;  // one in each range; empty: the first address of each
  std::string state_directory;   // where host-local remembers what it gave out
  std::string plugin_directory = "/usr/lib/cni";
};

struct CniRequest {
  NamespacedName pod;
  std::string container_id;           // unique among the network's pods
  std::string netns_path;
  std::string interface = "eth0";     // in the pod
  std::vector<IpAddress> addresses;   // wanted ones; empty: the next that are free
};

struct CniPod {
  CniRequest request;
  std::vector<IpAddress> addresses;
  std::string host_interface;
};

// What is missing of the plug-ins that the network needs, as a path; empty: nothing.
std::string missing_cni_plugin(const CniNetwork& network);

// CNI ADD. Errors: io, with what the plug-in says; it has undone its part then.
Result<CniPod> cni_add(const CniNetwork& network, const CniRequest& request);
// CNI DEL: no error if there is nothing of the pod. Errors: io.
Result<void> cni_del(const CniNetwork& network, const CniPod& pod);

// A namespace for a pod, with loopback up; IPv6 addresses in it are usable at once, without the two
// seconds in which others might object.
Result<Netns> make_pod_netns();
// Where a plug-in finds a namespace that only a descriptor of this process holds.
std::string netns_path(const Netns& netns);

}  // namespace postern::sim
