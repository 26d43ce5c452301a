// SPDX-License-Identifier: Apache-2.0
// The port through which somebody else makes the interfaces of pods: a CNI plug-in, as on a real node.
// Without it the topology makes its own. What was made so belongs to its maker: addresses and the node's
// routes to pods are its work, and an interface is used again only for a pod with the same addresses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/model/objects.h"
#include "sim/netns/netns.h"

namespace postern::sim {

struct PodLinkRequest {
  std::uint32_t node = 0;  // number of the node's namespace
  std::uint32_t pod = 0;   // unique for the life of the cluster
  NamespacedName name;
  std::vector<IpAddress> addresses;
};

class PodLinks {
 public:
  virtual ~PodLinks() = default;
  // Gives the namespace an interface eth0 with these addresses and routes to everywhere; returns the
  // name of its other end. The caller is in the node's namespace.
  virtual Result<std::string> add(const PodLinkRequest& request, const Netns& pod) = 0;
  // Undoes it, from the same place.
  virtual Result<void> remove(const PodLinkRequest& request, const Netns& pod) = 0;
};

}  // namespace postern::sim
