// SPDX-License-Identifier: Apache-2.0
// A cluster over time. Stories shrink by losing events, then by losing parts of the world they end in.
#pragma once

#include <rapidcheck.h>

#include <vector>

#include "test/oracle/connections.h"
#include "test/property_oracle/world.h"

namespace postern::property {

struct Story {
  std::vector<World> worlds;  // the state after each event, the first included
};
void showValue(const Story& story, std::ostream& out);
rc::Gen<Story> any_story(std::size_t events);
// With cluster tiers, strict namespaces and audits, of which some event is now and then.
rc::Gen<Story> any_story_of_tiers(std::size_t events);

// What happens at the interface of one pod, x/a: packets of a few connections, new policies, time.
struct Moment {
  Duration wait{};
  std::optional<oracle::Packet> packet;
  std::optional<World> world;  // from now on
};
struct History {
  bool keep = false;  // established flows
  std::vector<Moment> moments;
};
inline const NamespacedName kHistoryPod{"x", "a"};
void showValue(const History& history, std::ostream& out);
rc::Gen<History> any_history(std::size_t moments);
// Of ends that open, answer, close, reset and begin anew on the same ports, with jumps in time around every
// timeout; now and then a packet at random.
rc::Gen<History> any_trace(std::size_t moments);

}  // namespace postern::property
