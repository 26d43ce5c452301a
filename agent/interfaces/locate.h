// SPDX-License-Identifier: Apache-2.0
// Which interface of the host is a pod's: what every way of finding it says, and whether they agree. A
// pure function of a picture, so it may be asked as often as anything changes. It never chooses between
// ways that contradict each other: a program on the wrong pod's interface is worse than none.
//
// Strongest first: the pod's netns id, from its runtime; its address on the far end of a veth; a host
// route to it; the bridge port that its MAC was heard behind; a name made from its own. Only veths count.
// It finds the interface that has the pod's address. Others of the same pod are listed beside it; what
// they are for is not asked here yet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/interfaces/interface_names.h"
#include "agent/interfaces/network_picture.h"

namespace postern::agent {

struct PodAddresses {
  NamespacedName key;
  std::vector<IpAddress> addresses;   // may be empty: not known yet
  std::optional<NetnsId> netns_id;    // HostNetwork::netns_id, asked for anew each time: numbers are reused
};

struct LocateOptions {
  std::vector<NameTemplate> names = known_name_templates();
};

enum class Way : std::uint8_t { netns_id, far_address, route, bridge_port, name };
// "netns id", "address", "route", "bridge port", "name".
std::string_view to_string(Way way);

// The same device compares equal, another that came to have its index does not. The far end is there to
// be shown, and to be compared with what another process wrote down.
struct InterfaceIdentity {
  std::uint32_t ifindex = 0;
  std::uint64_t incarnation = 0;
  std::string name;
  std::uint32_t peer = 0;
  std::optional<NetnsId> netns_id;
  friend bool operator==(const InterfaceIdentity& a, const InterfaceIdentity& b) {
    return a.ifindex == b.ifindex && a.incarnation == b.incarnation;
  }
};

// What one way says, of one address where it is about an address.
struct Finding {
  Way way = Way::name;
  std::vector<std::uint32_t> candidates;  // ifindexes, ascending, not empty
  std::string words;                      // "route 10.244.0.5/32 leads to veth1 (7)"
};

enum class LocateOutcome : std::uint8_t { found, not_found, ambiguous, disagreement };

struct InterfaceMatch {
  LocateOutcome outcome = LocateOutcome::not_found;
  std::optional<InterfaceIdentity> interface;  // exactly when found
  std::vector<Finding> findings;               // strongest first
  // Addresses that a bridge leads to and nobody has answered for: HostNetwork::provoke_neighbour asks.
  std::vector<IpAddress> unheard;
  std::vector<std::uint32_t> further;  // other veths into the same namespace, when found
  std::string words;                   // the whole of it in a sentence, for a log or a status page

  // The ways that found it, strongest first.
  [[nodiscard]] std::vector<Way> ways() const;
  // Two ways agree, or more.
  [[nodiscard]] bool confirmed() const { return outcome == LocateOutcome::found && ways().size() > 1; }
};

InterfaceMatch locate(const NetworkPicture& picture, const PodAddresses& pod, const LocateOptions& options);

// locate() for all pods of the node. Two pods that are found at one interface are a disagreement too, of
// both. Pods with equal keys: the last.
std::map<NamespacedName, InterfaceMatch> locate_all(const NetworkPicture& picture,
                                                    std::span<const PodAddresses> pods,
                                                    const LocateOptions& options);

}  // namespace postern::agent
