// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/cloudwatch_log.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "agent/log/log.h"

namespace postern::agent::cloudwatch {
namespace {

using State = LogDelivery::Condition::State;

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  // Fails for no length of this size once the system is up.
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    bytes.assign(count, 'x');
  return bytes;
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  std::memcpy(&number, random_bytes(sizeof number).data(), sizeof number);
  return number;
}

const char* action_of(Operation operation) {
  switch (operation) {
    case Operation::put_events: return "PutLogEvents";
    case Operation::create_stream: return "CreateLogStream";
    case Operation::create_group: return "CreateLogGroup";
  }
  return "";
}

}  // namespace

std::string losses_text(const DeliveryCounters& counters) {
  const std::array<std::pair<const char*, std::uint64_t>, 7> reasons = {{
      {"queue full", counters.lost_queue_full},
      {"invalid", counters.lost_invalid},
      {"refused by the service", counters.lost_refused},
      {"too old", counters.lost_too_old},
      {"too far in the future", counters.lost_too_new},
      {"older than the group keeps", counters.lost_expired},
      {"unsent at the end", counters.lost_at_end},
  }};
  std::string text;
  for (const auto& [reason, count] : reasons) {
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += std::string(reason) + " " + std::to_string(count);
  }
  return text;
}

CloudWatchLog::CloudWatchLog(EventLoop& loop, CloudWatchOptions options, std::unique_ptr<aws::AwsClient> aws)
    : loop_(loop),
      options_(std::move(options)),
      delivery_(options_.delivery, random_number()),
      aws_(std::move(aws)) {}

CloudWatchLog::~CloudWatchLog() {
  loop_.cancel(timer_);
  loop_.cancel(region_timer_);
  loop_.cancel(loss_timer_);
  loop_.cancel(end_timer_);
  finder_.reset();
  aws_.reset();  // no answer comes from here on
}

Result<std::unique_ptr<CloudWatchLog>> CloudWatchLog::start(EventLoop& loop, CloudWatchOptions options) {
  auto aws = aws::AwsClient::make(loop, options.environment);
  if (!aws) return fail_as(aws);
  std::unique_ptr<CloudWatchLog> log(new CloudWatchLog(loop, std::move(options), std::move(*aws)));
  log->find_region();
  return log;
}

void CloudWatchLog::find_region() {
  if (!aws_->region().empty()) return find_cluster();
  aws_->metadata().get("/latest/meta-data/placement/region", [this](const Result<std::string>& region) {
    if (region && !region->empty()) {
      aws_->set_region(*region);
      return find_cluster();
    }
    if (!std::exchange(region_said_, true)) {
      log_warn(
          "CloudWatch: no region is known, expected AWS_REGION, or an instance that says its own ({}); "
          "asked again every {} s",
          region ? "it says none" : region.error().message, options_.region_wait.ns / 1'000'000'000);
    }
    region_timer_ = loop_.after(options_.region_wait, [this] { find_region(); });
  });
}

void CloudWatchLog::find_cluster() {
  if (!options_.cluster_name.empty()) return begin(options_.cluster_name);
  finder_ = std::make_unique<ClusterNameFinder>(loop_, *aws_, options_.look_up_wait);
  finder_->find([this](const std::string& name, const std::string& why) {
    if (name.empty()) log_warn("CloudWatch: the cluster's name is not known ({})", why);
    begin(name);
  });
}

void CloudWatchLog::begin(const std::string& cluster) {
  delivery_.start({log_group_name(cluster), log_stream_name(random_bytes(16))}, EventLoop::now());
  follow();
}

void CloudWatchLog::add(std::int64_t unix_ms, std::string_view message) {
  delivery_.add(unix_ms, message, EventLoop::now());
  follow();
}

// Does what the delivery wants now.
void CloudWatchLog::follow() {
  const auto& want = delivery_.want();
  if (want.request != 0 && want.request != running_) send();
  if (want.wake != timer_at_) {
    loop_.cancel(std::exchange(timer_, 0));
    timer_at_ = want.wake;
    if (timer_at_ != LogDelivery::kNever) {
      timer_ = loop_.at(timer_at_, [this] {
        timer_ = 0;
        timer_at_ = LogDelivery::kNever;
        delivery_.on_time(EventLoop::now());
        follow();
      });
    }
  }
  tell_condition();
  if (delivery_.counters().lost() != told_lost_ && loss_timer_ == 0) {
    // A little later, since losses seldom come alone.
    Instant when = EventLoop::now() + options_.first_loss_report;
    if (losses_told_at_) when = std::max(when, *losses_told_at_ + options_.report_losses);
    loss_timer_ = loop_.at(when, [this] { tell_losses(); });
  }
  check_end();
}

void CloudWatchLog::send() {
  const auto& want = delivery_.want();
  running_ = want.request;
  aws::AwsCall call;
  call.service = "logs";
  call.endpoint = aws_->environment().logs_endpoint;
  call.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                  {"X-Amz-Target", std::string("Logs_20140328.") + action_of(want.operation)}};
  call.body = delivery_.body();
  call.new_credentials = want.new_credentials;
  aws_->call(std::move(call), [this, request = running_](const aws::AwsOutcome& outcome) {
    if (request != delivery_.want().request) return;  // it was given up
    const Instant now = EventLoop::now();
    if (outcome.reply) {
      delivery_.on_answer({outcome.reply->status, outcome.reply->retry_after, outcome.reply->body}, now);
    } else {
      delivery_.on_no_answer(outcome.without_credentials ? "no credentials" : "no answer",
                             outcome.reply.error().message, now);
    }
    follow();
  });
}

void CloudWatchLog::tell_condition() {
  const auto& condition = delivery_.condition();
  if (condition.state == told_.state && condition.code == told_.code) return;
  const auto before = std::exchange(told_, condition);
  const auto& to = delivery_.stream();
  switch (condition.state) {
    case State::starting: return;
    case State::delivering:
      if (before.state == State::starting) {
        log_info("flow logs go to CloudWatch, group {}, stream {}", to.group, to.stream);
      } else {
        log_info("flow logs go to CloudWatch again, group {}", to.group);
      }
      return;
    case State::troubled:
      log_warn("CloudWatch: {}; tried again, {} lines wait", condition.detail,
               delivery_.counters().held_events);
      return;
    case State::refused:
      log_warn("CloudWatch: nothing is taken for group {}: {}; tried again every minute", to.group,
               condition.detail);
      return;
  }
}

void CloudWatchLog::tell_losses() {
  loop_.cancel(std::exchange(loss_timer_, 0));
  if (delivery_.counters().lost() == told_lost_) return;
  losses_told_at_ = EventLoop::now();
  told_lost_ = delivery_.counters().lost();
  log_warn("CloudWatch: {} lines of flow logs are lost so far: {}", told_lost_,
           losses_text(delivery_.counters()));
}

void CloudWatchLog::finish(Duration most, std::function<void()> done) {
  ended_ = std::move(done);
  end_timer_ = loop_.after(most, [this] {
    end_timer_ = 0;
    delivery_.give_up();
    follow();
  });
  delivery_.hurry(EventLoop::now());
  follow();
}

void CloudWatchLog::check_end() {
  if (!ended_ || !delivery_.empty()) return;
  tell_losses();
  loop_.cancel(std::exchange(end_timer_, 0));
  end_timer_ = loop_.after({}, std::exchange(ended_, nullptr));
}

}  // namespace postern::agent::cloudwatch
