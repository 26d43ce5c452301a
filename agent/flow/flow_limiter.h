// SPDX-License-Identifier: Apache-2.0
// Which events become records. A flow speaks at once, and then at most once in an interval, with the number
// of its events in between; and all flows together speak no more often than so many times a second. What
// this remembers of flows is bounded: the one that has not spoken for longest goes first.
//
// A flow that ends while it is held back has no next event to say so. So when its interval is over, or it has to
// make room, it gets a summary: its last event, and how many more there were. A summary is a way to speak like
// any other: it needs the limit's leave, and begins an interval.
//
// Pure: time comes with the events. They come nearly in order; one from a little earlier counts as now.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/abi/event.h"
#include "engine/base/time.h"

namespace postern::agent {

struct FlowLimits {
  Duration interval = seconds(10);  // 0: a flow speaks as often as it likes
  std::uint32_t per_second = 1000;  // records of all flows together
  std::size_t flows = 16384;        // that are remembered
};

class FlowLimiter {
 public:
  enum class Answer : std::uint8_t { record, suppressed, over_limit };
  struct Decision {
    Answer answer = Answer::record;
    std::uint64_t suppressed = 0;  // with a record: events of this flow since its last one, for either reason
  };

  explicit FlowLimiter(const FlowLimits& limits) : limits_(limits), allowance_(limits.per_second) {}

  // The last word on events that were held back.
  struct Summary {
    pn_event last{};
    std::uint64_t suppressed = 0;  // before it, since the flow's last record
  };

  Decision take(const pn_event& event);
  // Of flows whose interval is over at `now_ns`, and of those that made room since the last call.
  std::vector<Summary> take_summaries(std::uint64_t now_ns);
  // When there may be more; nullopt: nothing is remembered.
  [[nodiscard]] std::optional<std::uint64_t> next_summary_ns() const;

  [[nodiscard]] std::size_t remembered() const { return flows_.size(); }
  // Flows that were forgotten while their interval was still running, for want of room.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  // Of the packet's addresses, ports and protocol, the pod's interface, its direction, and the verdict.
  struct Key {
    std::uint64_t words[6];
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  struct Flow {
    Key key{};
    std::uint64_t spoke_ns = 0;
    std::uint64_t suppressed = 0;
    pn_event last{};  // of those
  };
  using Flows = std::list<Flow>;  // who has not spoken for longest first

  static Key key_of(const pn_event& event);
  bool may_speak(std::uint64_t now_ns);
  void make_room();
  static void hold_back(Flow& flow, const pn_event& event);

  FlowLimits limits_;
  Flows order_;
  std::unordered_map<Key, Flows::iterator, Hash> flows_;
  std::vector<Summary> of_evicted_;  // no more than may speak between two calls
  double allowance_;  // records that may be written now
  std::uint64_t now_ns_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace postern::agent
