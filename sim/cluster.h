// SPDX-License-Identifier: Apache-2.0
// The Cluster port: a place where a scenario comes true. virtual_cluster keeps packets in memory and
// time in a variable; netns_cluster makes namespaces, veth pairs and real sockets. Both enforce
// through one NodeEnforcer a node, so traffic between two pods is judged at both ends.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/abi/verdict.h"
#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/enforce/node_enforcer.h"
#include "engine/enforce/verdict_names.h"
#include "engine/model/snapshot.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

constexpr Protocol ip_protocol(ProbeProtocol protocol) {
  switch (protocol) {
    case ProbeProtocol::tcp: return Protocol::tcp;
    case ProbeProtocol::udp: return Protocol::udp;
    case ProbeProtocol::sctp: return Protocol::sctp;
    case ProbeProtocol::icmp: return Protocol::icmp;
  }
  return Protocol::tcp;
}

// What holds for a whole scenario.
struct ClusterSettings {
  EnforcerSettings enforcer;
  TableSizes limits;
  bool node_conntrack = true;  // nodes remember connections, as nf_conntrack does (R40)
};

// The objects of one step, ready to be put in place. Every live pod has a node and an address; every
// node that has a pod or is named by a probe is in `cluster.nodes` with an InternalIP.
struct Placement {
  ClusterSnapshot cluster;
  // Outside hosts of this step, by address.
  std::vector<IpAddress> outside;
  // Packets of this step are to be traced: reasons of allowed packets are wanted too.
  bool trace_all = false;
};

// A party to traffic: exactly one of these.
struct Party {
  // service: a ClusterIP that no backend stands behind; nobody answers there.
  enum class Kind : std::uint8_t { pod, node, outside, service };
  Kind kind = Kind::pod;
  NamespacedName pod;  // kind pod; a hostNetwork pod is its node's traffic
  std::string node;    // kind node
  IpAddress address;   // the address it uses; always set
  friend auto operator<=>(const Party&, const Party&) = default;
};

// What the sender writes on a packet that the cluster takes to one backend of a Service: the node
// translates it behind the sender's own interface, and translates the answer back before it (R7).
struct ServiceHop {
  IpAddress address;  // the ClusterIP, of the family of the receiver's address
  std::uint16_t port = 0;
};

struct ProbeRequest {
  Party from;
  Party to;
  ProbeProtocol protocol = ProbeProtocol::tcp;
  std::uint16_t port = 0;          // where `to` is asked, behind a Service its target port; 0 for ICMP
  std::optional<ServiceHop> via{};  // absent: asked directly
};

// What one end's datapath said of a packet.
struct EndVerdict {
  NamespacedName pod;  // whose interface
  pn_direction direction = PN_INGRESS;
  std::uint32_t step = 0;  // final step (engine/abi/verdict.h); 0: not judged there
  std::string node;        // who knows the rule
};

struct ProbeOutcome {
  bool allowed = false;  // delivered and answered
  // The drop that ended it, if one was reported: by whom, for which packet of the probe.
  std::optional<EndVerdict> drop;
  bool dropped_reply = false;  // it was the answer that was dropped
};

// The addresses of the packet that an ICMP error quotes, as that packet has them.
struct QuotedAddresses {
  IpAddress source;
  IpAddress destination;
};

struct PacketRequest {
  Party from;
  Party to;
  const PacketLine* line = nullptr;
  Instant at;                     // on the scenario's clock
  std::optional<ServiceHop> via{};  // the packet names this ClusterIP and port
  std::uint16_t target_port = 0;  // with `via`: the receiver's port
  std::optional<QuotedAddresses> quoted{};  // with `line->quotes`: who its ends are
};

struct PacketOutcome {
  bool allowed = false;
  std::optional<EndVerdict> from;  // of the sender's end; absent: not judged there, or not a pod
  std::optional<EndVerdict> to;    // of the receiver's end; absent also when it never arrived
};

class Cluster {
 public:
  virtual ~Cluster() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  // backend name in reports: "sim", "tc"

  // Starts a scenario on an empty cluster: no objects, no connections, time zero.
  virtual Result<void> begin(const ClusterSettings& settings) = 0;
  // Makes the objects true: interfaces made, kept or removed, policy in force when it returns.
  virtual Result<void> place(const Placement& placement) = 0;
  virtual Result<void> advance(Duration by) = 0;
  // Fresh connections, judged one after the other; outcomes in the order of the requests. An error
  // is a failure of the rig or a contradiction between wire and verdict, never a denial.
  virtual Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) = 0;
  virtual Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) = 0;

  // Of a verdict of this step; empty where nobody enforces.
  [[nodiscard]] virtual VerdictNames names_of(const EndVerdict& verdict) const = 0;
};

}  // namespace postern::sim
