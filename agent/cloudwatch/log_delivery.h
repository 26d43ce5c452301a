// SPDX-License-Identifier: Apache-2.0
// Brings log events to one stream of CloudWatch Logs: gathers them in a bounded queue, sends batches, one
// request at a time so that their order holds, makes stream and group where they are missing. A pure state
// machine: events, answers and moments come in, what should be asked and until when to wait goes out; no
// socket, no clock.
//
// Every event ends in exactly one count: sent, or lost for one reason, or it is still held. A batch whose
// answer never came is sent again, so events may arrive twice, but none is lost for that.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cloudwatch/log_events.h"
#include "agent/cloudwatch/service_answer.h"
#include "engine/base/prng.h"
#include "engine/base/time.h"

namespace postern::agent::cloudwatch {

struct DeliveryOptions {
  std::size_t most_events = 50'000;    // held at most, those under way included
  std::size_t most_bytes = 16u << 20;  // as the service counts them
  Duration flush_after = seconds(5);   // the oldest one waits no longer for others
  // Waits after a failure: doubled each time, each stretched at random up to twofold.
  Duration first_wait = milliseconds(500);
  Duration most_wait = seconds(30);
  Duration refused_wait = seconds(60);  // where only somebody's deed will help
  Duration report_after = seconds(10);  // of failures that may pass by themselves
};

// Plain numbers, which only grow but for the two that are held.
struct DeliveryCounters {
  std::uint64_t added = 0;
  std::uint64_t sent = 0;
  std::uint64_t truncated = 0;  // of those sent or to be sent
  std::uint64_t lost_queue_full = 0;
  std::uint64_t lost_invalid = 0;  // empty, or from before 1970
  std::uint64_t lost_refused = 0;  // InvalidParameterException for that very event
  std::uint64_t lost_too_old = 0;
  std::uint64_t lost_too_new = 0;
  std::uint64_t lost_expired = 0;
  std::uint64_t lost_at_end = 0;
  std::uint64_t held_events = 0;
  std::uint64_t held_bytes = 0;
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;   // requests that were not taken, those for lack of an answer included
  std::uint64_t throttled = 0;  // of them
  [[nodiscard]] std::uint64_t lost() const {
    return lost_queue_full + lost_invalid + lost_refused + lost_too_old + lost_too_new + lost_expired +
           lost_at_end;
  }
};

enum class Operation : std::uint8_t { put_events, create_stream, create_group };

class LogDelivery {
 public:
  static constexpr Instant kNever{std::numeric_limits<std::int64_t>::max()};
  static constexpr Duration kMostRetryAfter = seconds(120);
  // So many events refused singly with none taken between them: it is not the events.
  static constexpr std::size_t kMostRefusedInARow = 64;

  // What the owner of the connection is to do. It looks here after every call.
  struct Want {
    std::uint64_t request = 0;  // that is to run; 0: none
    Operation operation = Operation::create_stream;
    bool new_credentials = false;  // what was signed with before has been refused
    Instant wake = kNever;         // call on_time at or after this
  };

  // How it goes, for the log: a line each time that state or code change.
  struct Condition {
    enum class State : std::uint8_t { starting, delivering, troubled, refused };
    State state = State::starting;
    std::string code;
    std::string detail;
  };

  LogDelivery(DeliveryOptions options, std::uint64_t seed) : options_(options), prng_(seed) {}

  // Events may be added before.
  void start(LogStreamName to, Instant now);
  void add(std::int64_t unix_ms, std::string_view message, Instant now);
  [[nodiscard]] const Want& want() const { return want_; }
  // Of the request that want() names.
  [[nodiscard]] std::string body() const;

  // About the request that want() names; it is over with either.
  void on_answer(const ServiceAnswer& answer, Instant now);
  // `code` says in two words what there was none of: "no answer", "no credentials".
  void on_no_answer(const std::string& code, const std::string& why, Instant now);
  void on_time(Instant now);

  // Nothing waits for company any more, and failures are tried again soon.
  void hurry(Instant now);
  [[nodiscard]] bool empty() const { return counters_.held_events == 0; }
  // What is still held counts as lost, also what is under way and may yet arrive; and so does what comes.
  void give_up();

  [[nodiscard]] const DeliveryCounters& counters() const { return counters_; }
  [[nodiscard]] const Condition& condition() const { return condition_; }
  [[nodiscard]] const LogStreamName& stream() const { return to_; }

 private:
  void go_on(Instant now);
  void send(Operation operation);
  [[nodiscard]] bool due(Instant now) const;
  void taken(const ServiceAnswer& answer, Instant now);
  void batch_taken(std::string_view body);
  void missing(const ReadAnswer& answer, Instant now);
  void malformed(const ReadAnswer& answer, Instant now);
  void split(Instant now);
  void no_credentials(const ReadAnswer& answer, Instant now);
  void fail_for_now(const std::string& code, const std::string& detail, Duration at_least, Instant now);
  void fail_for_long(const std::string& code, const std::string& detail, Instant now);
  void wait(Duration delay, Instant now);
  void release(const std::vector<LogEvent>& events);
  void drop_batch(std::vector<LogEvent> events, std::uint64_t DeliveryCounters::*reason);

  DeliveryOptions options_;
  Prng prng_;
  LogStreamName to_;
  Want want_;
  DeliveryCounters counters_;
  Condition condition_;
  std::uint64_t requests_ = 0;

  bool started_ = false;
  bool ended_ = false;
  bool hurried_ = false;
  bool waiting_ = false;  // after a failure, until wait_until_
  Instant wait_until_{};

  std::deque<LogEvent> queue_;
  std::size_t queue_bytes_ = 0;
  std::optional<Instant> queued_since_;  // the oldest of the queue
  std::deque<std::vector<LogEvent>>
      batches_;  // the first is sent, or was and will be again; more after a split
  std::size_t refused_in_a_row_ = 0;

  bool have_stream_ = false;
  bool need_group_ = false;
  bool just_made_stream_ = false;  // and nothing was put into it yet
  bool just_made_group_ = false;   // and no stream into it
  bool asked_anew_ = false;        // with fresh credentials, since something was taken
  unsigned failures_ = 0;          // since something was taken
  std::optional<Instant> failing_since_;
};

}  // namespace postern::agent::cloudwatch
