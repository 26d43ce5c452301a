// SPDX-License-Identifier: Apache-2.0
// Interfaces of pods as a cluster's nodes have them: made by real CNI plug-ins. The addresses are the
// scenario's own, so every node's network spans the whole family, less the block that gateways are from.
#pragma once

#include <string>

#include "sim/netns/pod_links.h"

namespace postern::sim {

class CniLinks final : public PodLinks {
 public:
  // `state_folder`: where the plug-ins remember what they gave out; a folder of the caller's.
  explicit CniLinks(std::string state_folder) : state_folder_(std::move(state_folder)) {}

  Result<std::string> add(const PodLinkRequest& request, const Netns& pod) override;
  Result<void> remove(const PodLinkRequest& request, const Netns& pod) override;

 private:
  std::string state_folder_;
};

}  // namespace postern::sim
