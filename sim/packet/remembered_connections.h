// SPDX-License-Identifier: Apache-2.0
// What a node remembers of connections whose packets no stack sees, as nf_conntrack does of the others: every
// connection that passed, by the interface it passed at, whether or not anybody judged it there (R40). The
// virtual cluster has its datapaths ask it; the namespace cluster writes it into its nodes' nf_conntrack.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/abi/tables.h"
#include "engine/datapath/place.h"
#include "engine/compile/table_compiler.h"
#include "engine/enforce/node_connections.h"

namespace postern::sim {

// The connection that a frame belongs to, as this packet has it; nullopt: to none.
std::optional<pn_tuple> connection_of_frame(std::span<const std::uint8_t> frame);

class RememberedConnections final : public NodeConnections {
 public:
  // From now on these hold, by the clock whose ticks advance_to() is told.
  void set_timeouts(const ConntrackTimeouts& timeouts, const TickClock& clock) { write_timeouts(timeouts, clock, node_); }
  // A frame that passed at an interface; `direction` is the pod's.
  void passed(EndpointId endpoint, pn_direction direction, std::span<const std::uint8_t> frame);
  // It is this tick now; never falls.
  void advance_to(std::uint32_t tick) { now_ = tick; }

  // None says since when it idles.
  Result<std::vector<NodeConnection>> live(std::span<const NodeConnectionsOf> pods) override;

 private:
  struct KeyHash {
    std::size_t operator()(const pn_ct_key& key) const;
  };
  struct KeyEqual {
    bool operator()(const pn_ct_key& a, const pn_ct_key& b) const { return pn_ct_same(&a, &b) != 0; }
  };
  [[nodiscard]] bool alive(const pn_ct_key& key, const pn_ct_value& value) const;
  void make_room();

  pn_node node_{};
  std::uint32_t now_ = 0;
  std::unordered_map<pn_ct_key, pn_ct_value, KeyHash, KeyEqual> connections_;
};

}  // namespace postern::sim
