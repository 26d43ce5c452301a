// SPDX-License-Identifier: Apache-2.0
// A node that enforces a world with the real resolver, compiler and tables, and the native datapath to ask
// them; and what it says against what the oracle says.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/enforce/node_enforcer.h"
#include "test/oracle/connections.h"
#include "test/property_oracle/world.h"

namespace postern::property {

class Ground {
 public:
  explicit Ground(EstablishedFlows established = EstablishedFlows::reevaluate);

  // Brings the node to the world. A pod keeps its interface as long as its address stays, or when it gets
  // its first one. A text: what was refused.
  std::optional<std::string> follow(const World& world);

  // The first packet of a connection that is like no other.
  Classified ask(const World& world, const oracle::Question& question);
  Classified send(const NamespacedName& pod, const oracle::Packet& packet, Instant now);
  // Changes whenever the pod gets another interface.
  [[nodiscard]] std::uint32_t interface_of(const NamespacedName& pod) const {
    return interfaces_.at(pod).ifindex;
  }
  [[nodiscard]] NodeEnforcer& enforcer() { return enforcer_; }

 private:
  struct Interface {
    std::uint32_t ifindex = 0;
    std::vector<IpAddress> addresses;
  };
  void follow_pods(const World& world);

  EnforcerSettings settings_;
  NodeEnforcer enforcer_;
  std::map<NamespacedName, Interface> interfaces_;
  std::uint32_t next_interface_ = 1;
  std::uint16_t next_source_ = 0;
};

TableSizes small_tables();
std::vector<std::byte> frame_of(const oracle::Packet& packet);

// Nothing where they agree: the verdict, the exact reason of a deny, one true reason (and rule) of an allow.
std::optional<std::string> difference(const oracle::Verdict& expected, const Classified& got,
                                      const RuleRegistry& rules);
// Who isolates whom in which direction, as a deny names it.
std::optional<std::string> difference_in_isolation(const World& world, const ResolvedPolicy& policy);
std::optional<oracle::Reason> reason_of(const Classified& got);
std::string to_string(const Classified& got);

}  // namespace postern::property
