// SPDX-License-Identifier: Apache-2.0
// The log of flows: takes events off the ring, lets those become records that the limits allow, writes the
// records down and hands them on. On the agent's loop.
//
// The ring's descriptor wakes the loop once. Then everything is read, and again every 20 ms as long as there
// is something, so that a flood costs fifty wake-ups a second; the ring holds what comes in between. When a
// look finds nothing the descriptor is watched again: a quiet node costs nothing.
//
// Every event that is received has exactly one outcome, and each is counted:
//   received = written + suppressed + over limit + below level
// A summary (flow_limiter.h) is a line about events that have had theirs, and is counted beside.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/flow/flow_limiter.h"
#include "agent/flow/flow_names.h"
#include "agent/flow/flow_record.h"
#include "agent/log/log_level.h"
#include "agent/loop/event_loop.h"
#include "engine/enforce/backend.h"

namespace postern::agent {

enum class FlowLogFormat : std::uint8_t { compat, json };

struct FlowLogOptions {
  FlowLogFormat format = FlowLogFormat::compat;
  bool silent = false;  // nothing is written: events are for the witness alone, and count as below level
  FlowLimits limits;
};

struct FlowCounts {
  std::uint64_t received = 0;
  std::uint64_t written = 0;
  std::uint64_t suppressed = 0;   // by the interval of their flow
  std::uint64_t over_limit = 0;   // of lines per second
  std::uint64_t summaries = 0;    // lines about the last events that a flow's interval held back
  std::uint64_t below_level = 0;  // allowed flows that the level leaves out; they are there for another reason
};

// Which events the datapath is asked for: flow logs want the denied ones, and with the level debug new flows
// too; a self-check wants both always.
EventMode event_mode_for(bool flow_logs, bool self_check, LogLevel level);

class FlowLog final : private EventSink {
 public:
  static constexpr Duration kPause = milliseconds(20);
  static constexpr Duration kSummariesEvery = milliseconds(250);

  // Gets each record that is written, in the order of the ring.
  using Listener = std::function<void(const FlowRecord& record)>;
  // Gets each event that is received, before any limit.
  using Witness = std::function<void(const pn_event& event)>;

  // Loop and backend outlive the log.
  FlowLog(EventLoop& loop, Backend& backend, FlowSources sources, const FlowLogOptions& options);
  ~FlowLog() override;
  FlowLog(const FlowLog&) = delete;
  FlowLog& operator=(const FlowLog&) = delete;

  // Errors: io.
  Result<void> start();
  void listen(Listener listener) { listeners_.push_back(std::move(listener)); }
  // The same as messages for CloudWatch: denials always, allowed flows only while the level is debug.
  void forward(std::function<void(std::int64_t unix_ms, std::string_view message)> sink);
  void witness(Witness witness) { witness_ = std::move(witness); }
  void cluster_changed() { names_.cluster_changed(); }
  // The record of an event, at this moment.
  FlowRecord name(const pn_event& event) { return names_.name(event, unix_offset_ns_); }
  // Reads what is there now.
  void drain();

  [[nodiscard]] const FlowCounts& counts() const { return counts_; }
  [[nodiscard]] const FlowLimiter& limiter() const { return limiter_; }

 private:
  void on_event(const pn_event& event) override;
  void tell(const pn_event& event, std::uint64_t suppressed);
  [[nodiscard]] bool below_level(const pn_event& event) const;
  void write(const FlowRecord& record);
  void summarize();
  void follow_summaries();
  void pause();
  void look();

  EventLoop& loop_;
  Backend& backend_;
  FlowNames names_;
  FlowLogFormat format_;
  bool silent_;
  FlowLimiter limiter_;
  FlowCounts counts_;
  std::vector<Listener> listeners_;
  Witness witness_;
  bool watching_ = false;
  EventLoop::TimerId timer_ = 0;
  EventLoop::TimerId summary_timer_ = 0;
  LogLevel level_ = LogLevel::info;      // of this drain
  std::int64_t unix_offset_ns_ = 0;  // the same
  std::string refusal_;              // the last error that was logged
};

}  // namespace postern::agent
