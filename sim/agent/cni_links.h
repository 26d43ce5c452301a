// SPDX-License-Identifier: Apache-2.0
// Interfaces of pods as a cluster's nodes have them: made by real CNI plug-ins. The addresses are the
// scenario's own, so each pod's network is the block around its address, with a gateway at its end.
//
// ptp takes pods wherever they are. With bridge a block is on the link, so all its pods have to stand on one
// node; each block has a bridge of its own there.
#pragma once

#include <map>
#include <string>

#include "sim/cni/cni.h"
#include "sim/netns/pod_links.h"

namespace postern::sim {

class CniLinks final : public PodLinks {
 public:
  // `state_folder`: where the plug-ins remember what they gave out; a folder of the caller's.
  explicit CniLinks(std::string state_folder, CniPlugin plugin = CniPlugin::ptp)
      : state_folder_(std::move(state_folder)), plugin_(plugin) {}

  // Errors besides the plug-ins': unsupported, what a bridge cannot do, or a plug-in that is missing.
  Result<std::string> add(const PodLinkRequest& request, const Netns& pod) override;
  Result<void> remove(const PodLinkRequest& request, const Netns& pod) override;

 private:
  [[nodiscard]] CniNetwork network_of(const PodLinkRequest& request) const;
  Result<void> check_bridge(const PodLinkRequest& request);

  std::string state_folder_;
  CniPlugin plugin_;
  std::map<Cidr, std::uint32_t> node_of_;  // bridge: where a block is
};

}  // namespace postern::sim
