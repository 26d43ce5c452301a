// SPDX-License-Identifier: Apache-2.0
// The ports of enforcement: what holds the tables and judges packets (Backend), what hands it single
// packets (PacketInjector), and where events go (EventSink).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/abi/event.h"
#include "engine/base/ids.h"
#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/compile/policy_tables.h"
#include "engine/compile/table_compiler.h"
#include "engine/enforce/connection_table.h"
#include "engine/enforce/node_connections.h"

namespace postern {

// Receives events in the order in which the backend saw them.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const pn_event& event) = 0;
};

// One tracked connection, read back. Layout of engine/abi/conntrack.h.
struct ConntrackEntry {
  pn_ct_key key{};
  pn_ct_value value{};
};

class PacketInjector;

// A pod's interface that an earlier process left judged.
struct InheritedInterface {
  std::uint32_t ifindex = 0;
  EndpointId endpoint;  // 0: not known; nothing judged the pod, or tables of another version did
  std::vector<IpAddress> addresses;  // the endpoint's, as that process knew them
  std::array<bool, 2> judged{};      // by pn_direction
};

// What an earlier process left in force, as it was found when the backend was made. Whoever gives a
// pod on an inherited interface the endpoint it had keeps its connections; new endpoints are numbered
// above last_endpoint, so that nobody gets the connections of a pod that is gone.
struct Inheritance {
  std::vector<InheritedInterface> interfaces;  // sorted by ifindex
  bool connections = false;                    // tracked connections came along: what follows counts
  std::uint32_t epoch = 0;
  std::uint64_t hash_secret = 0;  // under which they are found
  RuleId last_rule;
  EndpointId last_endpoint;
};

// One node's datapath. Not thread-safe.
//
// Where an earlier process left programs in force, they stay so, with the tables of its last complete
// policy, until attach() or detach() of each interface. This backend's own tables begin empty beside
// them: apply() fills them while no packet reads them.
class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;  // "native", "tc"
  // Of the datapath; compile with it.
  [[nodiscard]] virtual TickClock clock() const = 0;
  [[nodiscard]] virtual const TableSizes& sizes() const = 0;

  // Makes the writes in order. Errors: table_full, io. After an error the backend holds a prefix of
  // the delta; since every prefix is a complete policy the caller may retry or stay.
  virtual Result<void> apply(const TableDelta& delta) = 0;
  // What the tables hold now, byte for byte, to compare with another backend or the compiler.
  virtual Result<PolicyTables> dump() const = 0;

  // Puts the program on both hooks of a host-side interface (in the caller's network namespace), or
  // takes it off. Attaching twice is no error, nor is detaching what is not attached. Other programs on
  // the hooks stay. An inherited interface is switched to this backend's tables in one step a hook:
  // each packet meets the old program or the new one.
  virtual Result<void> attach(std::uint32_t ifindex) = 0;
  virtual Result<void> detach(std::uint32_t ifindex) = 0;

  // The same for as long as the backend lives.
  [[nodiscard]] virtual const Inheritance& inheritance() const {
    static const Inheritance kNothing;
    return kNothing;
  }
  // Lines for the log since the last call: what was taken over, what could not be.
  virtual std::vector<std::string> take_notes() { return {}; }

  virtual Result<std::vector<ConntrackEntry>> conntrack() const = 0;
  // Forgets every connection of an endpoint, or all with a zero id.
  virtual Result<void> forget_connections(EndpointId endpoint) = 0;
  // Makes every tracked connection look `by` older: how a scenario's time passes.
  virtual Result<void> age_connections(Duration by) = 0;
  // For clean-up and seeding, as long as the backend lives; null where neither is wanted.
  [[nodiscard]] virtual ConnectionTable* connection_table() { return nullptr; }
  // What the node of this datapath remembers, in the caller's network namespace; null: nobody to ask.
  [[nodiscard]] virtual NodeConnections* node_connections() { return nullptr; }

  // Counters since the backend was made (inherited ones go on), by pn_counter_index and pn_node_counter,
  // summed over CPUs.
  virtual Result<std::vector<pn_counter>> counters() const = 0;
  // Hands pending events to the sink; never blocks. Returns how many there were.
  virtual Result<std::size_t> drain_events(EventSink& sink) = 0;
  // A descriptor that polls readable while events are pending; -1: none, drain after each packet.
  [[nodiscard]] virtual int event_fd() const = 0;
  // The same of the monitor's ring (struct pn_node), which has one reader: an agent leaves it alone.
  virtual Result<std::size_t> drain_monitor(EventSink&) { return std::size_t{0}; }

  // Null where the backend cannot classify single packets itself (the production kernel backend).
  [[nodiscard]] virtual PacketInjector* injector() = 0;
};

// A verdict on one frame at one hook.
struct Classified {
  bool allow = false;
  std::uint32_t step = 0;  // final step: reason and rule (engine/abi/verdict.h); 0 with allow: not judged
};

class PacketInjector {
 public:
  virtual ~PacketInjector() = default;
  // `frame`: a whole Ethernet frame. `direction` is the pod's. `now` never falls from call to call.
  virtual Classified classify(std::uint32_t ifindex, std::uint8_t direction, std::span<const std::byte> frame,
                              Instant now) = 0;
  // It is `now`, though no packet has come by.
  virtual void advance_to(Instant /*now*/) {}
};

// Makes the backend of one more node.
using BackendFactory = std::function<Result<std::unique_ptr<Backend>>(const TableSizes&)>;

}  // namespace postern
