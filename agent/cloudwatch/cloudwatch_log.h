// SPDX-License-Identifier: Apache-2.0
// Flow log lines to CloudWatch Logs, on the event loop. What happens next is decided by LogDelivery; here
// are the timer, the requests, and the lines of the agent's own log about how it goes.
//
// It never blocks, and nothing it meets ends the agent: what cannot be sent waits in a bounded queue, and
// what does not fit there is counted.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/aws/aws_client.h"
#include "agent/cloudwatch/flow_log_sink.h"
#include "agent/cloudwatch/log_delivery.h"
#include "agent/cloudwatch/log_group.h"
#include "agent/loop/event_loop.h"
#include "engine/base/result.h"

namespace postern::agent::cloudwatch {

struct CloudWatchOptions {
  aws::AwsEnvironment environment;
  std::string cluster_name;  // empty: the instance's tag says it
  DeliveryOptions delivery;
  Duration look_up_wait = seconds(1);  // after a failure to learn the cluster's name, doubled
  Duration region_wait = seconds(30);  // after a failure to learn the region
  // Losses are logged so long after the first one, and then at most so often.
  Duration first_loss_report = seconds(1);
  Duration report_losses = seconds(60);
};

class CloudWatchLog final : public FlowLogSink {
 public:
  // The loop outlives it. Errors: internal, or a CA bundle that cannot be read.
  static Result<std::unique_ptr<CloudWatchLog>> start(EventLoop& loop, CloudWatchOptions options);
  ~CloudWatchLog() override;
  CloudWatchLog(const CloudWatchLog&) = delete;
  CloudWatchLog& operator=(const CloudWatchLog&) = delete;

  void add(std::int64_t unix_ms, std::string_view message) override;

  // At the end of the agent: sends what is held, for so long at most; what is left then is lost and counted.
  // `done` is called once, later, from the loop.
  void finish(Duration most, std::function<void()> done);

  [[nodiscard]] const DeliveryCounters& counters() const { return delivery_.counters(); }
  [[nodiscard]] const LogDelivery::Condition& condition() const { return delivery_.condition(); }
  [[nodiscard]] const LogStreamName& stream() const { return delivery_.stream(); }

 private:
  CloudWatchLog(EventLoop& loop, CloudWatchOptions options, std::unique_ptr<aws::AwsClient> aws);
  void find_region();
  void find_cluster();
  void begin(const std::string& cluster);
  void follow();
  void send();
  void tell_condition();
  void tell_losses();
  void check_end();

  EventLoop& loop_;
  CloudWatchOptions options_;
  LogDelivery delivery_;
  std::unique_ptr<aws::AwsClient> aws_;
  std::unique_ptr<ClusterNameFinder> finder_;
  std::uint64_t running_ = 0;  // the request that is under way
  EventLoop::TimerId timer_ = 0;
  Instant timer_at_ = LogDelivery::kNever;
  EventLoop::TimerId region_timer_ = 0;
  bool region_said_ = false;
  LogDelivery::Condition told_;
  std::uint64_t told_lost_ = 0;
  std::optional<Instant> losses_told_at_;
  EventLoop::TimerId loss_timer_ = 0;
  EventLoop::TimerId end_timer_ = 0;
  std::function<void()> ended_;
};

// "queue full 12, too old 3"; the reasons without a loss are left out.
std::string losses_text(const DeliveryCounters& counters);

}  // namespace postern::agent::cloudwatch
