// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/log_delivery.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/kube/backoff.h"

namespace postern::agent::cloudwatch {

namespace {
using State = LogDelivery::Condition::State;
}

void LogDelivery::start(LogStreamName to, Instant now) {
  to_ = std::move(to);
  started_ = true;
  go_on(now);
}

void LogDelivery::add(std::int64_t unix_ms, std::string_view message, Instant now) {
  ++counters_.added;
  if (ended_) {
    ++counters_.lost_at_end;
    return;
  }
  if (message.empty() || unix_ms < 0) {
    ++counters_.lost_invalid;
    return;
  }
  const auto room_for = [this](std::size_t bytes) {
    return counters_.held_events < options_.most_events &&
           counters_.held_bytes + bytes <= options_.most_bytes;
  };
  // What comes is lost, not what waits: then what was sent before it has no gap inside. Looked at first with
  // the least it can be, so that a flood costs next to nothing.
  FitMessage fit;
  if (room_for(kEventOverhead + std::min(message.size(), kMaxMessageBytes - 3))) fit = fit_message(message);
  if (fit.text.empty() || !room_for(kEventOverhead + fit.text.size())) {
    ++counters_.lost_queue_full;
    return;
  }
  if (fit.truncated) ++counters_.truncated;
  LogEvent event{unix_ms, std::move(fit.text)};
  ++counters_.held_events;
  counters_.held_bytes += event.bytes();
  queue_bytes_ += event.bytes();
  queue_.push_back(std::move(event));
  if (!queued_since_) queued_since_ = now;
  go_on(now);
}

bool LogDelivery::due(Instant now) const {
  if (queue_.empty()) return false;
  return hurried_ || queue_.size() >= kMaxBatchEvents || queue_bytes_ >= kMaxBatchBytes ||
         now >= *queued_since_ + options_.flush_after;
}

// Whatever is to be done next, if anything is.
void LogDelivery::go_on(Instant now) {
  if (!started_ || want_.request != 0) return;
  if (waiting_ && now < wait_until_) return;
  waiting_ = false;
  want_.wake = kNever;
  if (!have_stream_) return send(need_group_ ? Operation::create_group : Operation::create_stream);
  if (batches_.empty() && due(now)) {
    batches_.push_back(take_batch(queue_));
    for (const LogEvent& event : batches_.back()) queue_bytes_ -= event.bytes();
    queued_since_ = queue_.empty() ? std::nullopt : std::optional<Instant>(now);
  }
  if (!batches_.empty()) return send(Operation::put_events);
  if (queued_since_) want_.wake = *queued_since_ + options_.flush_after;
}

void LogDelivery::send(Operation operation) {
  ++counters_.requests;
  want_.request = ++requests_;
  want_.operation = operation;
}

std::string LogDelivery::body() const {
  switch (want_.operation) {
    case Operation::put_events: return put_events_body(to_, batches_.front());
    case Operation::create_stream: return create_stream_body(to_);
    case Operation::create_group: return create_group_body(to_);
  }
  return "";
}

void LogDelivery::on_time(Instant now) { go_on(now); }

void LogDelivery::on_answer(const ServiceAnswer& answer, Instant now) {
  if (want_.request == 0) return;
  want_.request = 0;
  want_.new_credentials = false;
  const ReadAnswer read = read_answer(answer);
  if (read.meaning != Meaning::taken) ++counters_.failures;
  if (read.throttled) ++counters_.throttled;
  switch (read.meaning) {
    case Meaning::taken: return taken(answer, now);
    case Meaning::missing: return missing(read, now);
    case Meaning::busy:
      return fail_for_now(read.code, read.detail,
                          std::min(answer.retry_after.value_or(Duration{}), kMostRetryAfter), now);
    case Meaning::malformed: return malformed(read, now);
    case Meaning::credentials: return no_credentials(read, now);
    case Meaning::refused: return fail_for_long(read.code, read.detail, now);
  }
}

void LogDelivery::on_no_answer(const std::string& code, const std::string& why, Instant now) {
  if (want_.request == 0) return;
  want_.request = 0;
  want_.new_credentials = false;
  ++counters_.failures;
  fail_for_now(code, why, {}, now);
}

void LogDelivery::taken(const ServiceAnswer& answer, Instant now) {
  asked_anew_ = false;
  switch (want_.operation) {
    case Operation::put_events:
      just_made_stream_ = false;
      batch_taken(answer.body);
      break;
    case Operation::create_stream:
      have_stream_ = true;
      just_made_stream_ = true;
      just_made_group_ = false;
      break;
    case Operation::create_group:
      need_group_ = false;
      just_made_group_ = true;
      break;
  }
  // That a stream can be made does not yet show that the batch which waits for it is taken.
  if (have_stream_ && (want_.operation == Operation::put_events || batches_.empty())) {
    failures_ = 0;
    failing_since_.reset();
    condition_ = {State::delivering, "", ""};
  }
  go_on(now);
}

void LogDelivery::batch_taken(std::string_view body) {
  const std::vector<LogEvent> batch = std::move(batches_.front());
  batches_.pop_front();
  release(batch);
  const RejectedEvents rejected = read_rejected(body, batch.size());
  counters_.lost_too_old += rejected.too_old;
  counters_.lost_expired += rejected.expired;
  counters_.lost_too_new += rejected.too_new;
  counters_.sent += batch.size() - rejected.too_old - rejected.expired - rejected.too_new;
  refused_in_a_row_ = 0;
}

// A stream without its group says the same, so the stream is tried first: whoever may not make groups can
// still write into one that somebody else made.
void LogDelivery::missing(const ReadAnswer& answer, Instant now) {
  have_stream_ = false;
  const bool in_vain = (want_.operation == Operation::put_events && just_made_stream_) ||
                       (want_.operation == Operation::create_stream && just_made_group_);
  need_group_ = want_.operation == Operation::create_stream;
  just_made_stream_ = just_made_group_ = false;
  if (want_.operation == Operation::create_group) return fail_for_long(answer.code, answer.detail, now);
  if (in_vain) return fail_for_now(answer.code, answer.detail, {}, now);
  go_on(now);
}

void LogDelivery::malformed(const ReadAnswer& answer, Instant now) {
  if (want_.operation != Operation::put_events) return fail_for_long(answer.code, answer.detail, now);
  split(now);
}

// In halves, down to the events that are meant.
void LogDelivery::split(Instant now) {
  std::vector<LogEvent> batch = std::move(batches_.front());
  batches_.pop_front();
  if (batch.size() == 1) {
    drop_batch(std::move(batch), &DeliveryCounters::lost_refused);
    if (++refused_in_a_row_ >= kMostRefusedInARow) {
      while (!batches_.empty()) {
        drop_batch(std::move(batches_.front()), &DeliveryCounters::lost_refused);
        batches_.pop_front();
      }
      refused_in_a_row_ = 0;
    }
    return go_on(now);
  }
  const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
  std::vector<LogEvent> second(std::make_move_iterator(middle), std::make_move_iterator(batch.end()));
  batch.erase(middle, batch.end());
  batches_.push_front(std::move(second));
  batches_.push_front(std::move(batch));
  go_on(now);
}

// Once with fresh ones at once; they may simply have expired. Then it is somebody's business.
void LogDelivery::no_credentials(const ReadAnswer& answer, Instant now) {
  want_.new_credentials = true;
  if (!asked_anew_) {
    asked_anew_ = true;
    return go_on(now);
  }
  fail_for_long(answer.code, answer.detail, now);
}

void LogDelivery::fail_for_now(const std::string& code, const std::string& detail, Duration at_least,
                               Instant now) {
  if (!failing_since_) failing_since_ = now;
  const bool worth_a_line =
      condition_.state != State::refused && now - *failing_since_ >= options_.report_after;
  if (worth_a_line) condition_ = {State::troubled, code, detail};
  Duration delay = options_.first_wait;
  for (unsigned i = 0; i < failures_ && delay < options_.most_wait; ++i) delay.ns *= 2;
  ++failures_;
  delay = kube::stretched(std::min(delay, options_.most_wait), 1.0, prng_);
  wait(std::max(delay, at_least), now);
}

void LogDelivery::fail_for_long(const std::string& code, const std::string& detail, Instant now) {
  if (!failing_since_) failing_since_ = now;
  condition_ = {State::refused, code, detail};
  // Meanwhile somebody else may make the group; then the stream is enough.
  if (want_.operation == Operation::create_group) need_group_ = false;
  wait(kube::stretched(options_.refused_wait, 0.5, prng_), now);
}

void LogDelivery::wait(Duration delay, Instant now) {
  if (hurried_) delay = std::min(delay, options_.first_wait);
  waiting_ = true;
  wait_until_ = now + delay;
  want_.wake = wait_until_;
}

void LogDelivery::hurry(Instant now) {
  hurried_ = true;
  waiting_ = false;
  go_on(now);
}

void LogDelivery::give_up() {
  counters_.lost_at_end += counters_.held_events;
  counters_.held_events = counters_.held_bytes = 0;
  queue_.clear();
  batches_.clear();
  queue_bytes_ = 0;
  queued_since_.reset();
  ended_ = true;
  started_ = false;
  want_ = {};
}

void LogDelivery::release(const std::vector<LogEvent>& events) {
  counters_.held_events -= events.size();
  for (const LogEvent& event : events) counters_.held_bytes -= event.bytes();
}

void LogDelivery::drop_batch(std::vector<LogEvent> events, std::uint64_t DeliveryCounters::*reason) {
  release(events);
  counters_.*reason += events.size();
}

}  // namespace postern::agent::cloudwatch
