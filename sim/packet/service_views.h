// SPDX-License-Identifier: Apache-2.0
// What a node's translation of Service addresses makes of single packets: the ends that a packet
// names at its sender's interface and at its receiver's. A packet with `via` names the ClusterIP at
// the sender and one backend at the receiver; what that backend sends back, and ICMP errors about the
// connection, name the ClusterIP again where they come in at the client (R7, R8).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>

#include "sim/cluster.h"
#include "sim/packet/packet_line.h"

namespace postern::sim {

class ServiceViews {
 public:
  struct Ends {
    packet::LineEnds ends;
    std::optional<packet::LineEnds> quoted;
  };
  struct Views {
    Ends sender;
    Ends receiver;
  };

  // `own_node`: of a pod that reaches itself through a Service, the address its node puts in the
  // source, as kube-proxy does; absent: no such packet.
  [[nodiscard]] Views views_of(const PacketRequest& request, const std::optional<IpAddress>& own_node) const;
  // The node has seen the packet, so it knows what to make of the answer.
  void passed(const PacketRequest& request, const Views& views);
  void clear() { answers_.clear(); }

 private:
  // The flow behind the node, from the client on.
  struct Flow {
    std::uint8_t protocol = 0;
    IpAddress client;
    IpAddress backend;
    std::uint16_t client_port = 0;
    std::uint16_t backend_port = 0;
    friend auto operator<=>(const Flow&, const Flow&) = default;
  };
  [[nodiscard]] const ServiceHop* find(const Flow& flow) const;
  void translate_answer(const PacketRequest& request, Ends& receiver) const;

  std::map<Flow, ServiceHop> answers_;
};

// The address of a node that its masquerading uses: its InternalIP of that family, else any.
std::optional<IpAddress> masquerade_address(const Node& node, IpFamily family);

}  // namespace postern::sim
