// SPDX-License-Identifier: Apache-2.0
// A pod at the end of a veth, in a network namespace of its own, and peers beyond its node: sockets that
// talk through the hooks of the host's end. While a rig lives, the process is in its node's namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/fd.h"
#include "sim/netns/netns.h"
#include "sim/netns/rtnl.h"

namespace postern::test {

struct RigPod {
  std::string address;
  std::uint32_t ifindex = 0;  // of the host's end
  std::optional<sim::Netns> netns;
};

class PodRig {
 public:
  // A node whose peers have these addresses.
  static Result<std::unique_ptr<PodRig>> make(const std::vector<std::string>& peers);

  // Its host's end is veth0, veth1, ... in order.
  Result<void> add_pod(const std::string& address);
  [[nodiscard]] const RigPod& pod(std::size_t index) const { return pods_[index]; }
  Result<void> delete_pod(std::size_t index);

  // The two ends of one UDP connection, connected to each other: {pod's, peer's}. The rig's to close.
  struct Pair {
    int pod = -1;
    int peer = -1;
  };
  struct End {
    std::string address;
    std::uint16_t port = 0;
  };
  Result<Pair> udp_pair(std::size_t pod, std::uint16_t port, const End& peer);
  // Where the pod dials something else than its peer, whose end may be another pod's.
  struct Call {
    std::size_t pod = 0;
    std::uint16_t port = 0;
    End dialled;
    End peer;
    std::optional<std::size_t> peer_pod;
  };
  Result<Pair> udp_pair(const Call& call);
  void close_sockets() { sockets_.clear(); }

 private:
  PodRig(sim::Netns node, sim::NetnsScope scope) : node_(std::move(node)), scope_(std::move(scope)) {}

  static Result<void> enable_family_of(const std::string& address, sim::NetnsKind kind,
                                       const std::string& interface);

  sim::Netns node_;
  sim::NetnsScope scope_;
  std::vector<RigPod> pods_;
  std::vector<UniqueFd> sockets_;
};

}  // namespace postern::test
