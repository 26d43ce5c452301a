// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/pinned_watch.h"

#include <chrono>
#include <optional>
#include <thread>

#include "backends/tc/kernel_clock.h"
#include "backends/tc/monitor.h"
#include "backends/tc/pinned_node.h"
#include "cli/commands/node_state.h"

namespace postern::cli {
namespace {

using Clock = std::chrono::steady_clock;

// The ring goes off some four seconds after it was renewed.
constexpr auto kRenewAfter = std::chrono::seconds(1);
constexpr auto kViewWithin = std::chrono::seconds(3);
constexpr auto kLookAgain = std::chrono::milliseconds(20);

class PinnedWatch final : public sim::NodeWatch {
 public:
  PinnedWatch(std::unique_ptr<tc::Monitor> monitor, tc::PinnedNode node, NodeOptions folders)
      : monitor_(std::move(monitor)), node_(std::move(node)), folders_(std::move(folders)), renewed_(Clock::now()) {}

  Result<void> drain_events(EventSink& sink) override {
    if (Clock::now() - renewed_ >= kRenewAfter) {
      if (auto done = monitor_->renew(); !done) return done;
      renewed_ = Clock::now();
    }
    if (auto done = monitor_->poll(0, [&](const pn_event& event) { sink.on_event(event); }); !done) return done;
    const auto lost = monitor_->lost();
    if (!lost) return fail_as(lost);
    if (*lost == 0) return {};
    return fail(ErrorCode::io,
                std::to_string(*lost) + " events of the datapath were lost: the ring pn_monitor was full");
  }
  [[nodiscard]] int event_fd() const override { return monitor_->event_fd(); }
  [[nodiscard]] std::int64_t tick_ns() const override { return tick_ns_; }
  Result<void> age_connections(Duration by) override {
    return node_.age_connections(static_cast<std::uint32_t>(by.ns / tick_ns_));
  }
  Result<void> forget_connections() override { return node_.forget_connections(EndpointId{}); }
  [[nodiscard]] VerdictNames names_of(const SaidOfPod& said) const override {
    const auto view = current_view();
    if (!view) return {};
    VerdictNames names;
    if (const auto* rule = view->rule(RuleId{pn_step_said_rule(said.step)})) names.rule = rule->origin;
    if (pn_step_said_reason(said.step) != PN_REASON_ISOLATED) return names;
    const auto take = [&](const std::vector<std::string>& policies) {
      for (const auto& policy : policies) {
        const auto slash = policy.find('/');
        if (slash == std::string::npos) continue;  // of the whole cluster: isolates nothing
        names.isolating.push_back({PolicyKind::network_policy, {policy.substr(0, slash), policy.substr(slash + 1)}});
      }
    };
    for (const auto& pod : view->pods) {
      if (pod.pod != said.pod) continue;
      take(pod.isolating[said.direction]);
      if (pn_step_reason(said.step) == PN_REASON_WOULD_DENY) take(pod.in_audit[said.direction]);
    }
    return names;
  }

 private:
  // The agent writes it a moment after the tables; nullopt: it does not come.
  [[nodiscard]] std::optional<agent::NodeView> current_view() const {
    const auto give_up = Clock::now() + kViewWithin;
    for (;;) {
      if (auto view = read_view(folders_.run_folder)) {
        const auto tables = node_.tables();
        if (!tables) return std::nullopt;
        const bool current = view->tables && fit_of(*view->tables, agent::stamp_of(*tables)) == agent::ViewFit::current;
        if (current) return std::move(*view);
      }
      if (Clock::now() > give_up) return std::nullopt;
      std::this_thread::sleep_for(kLookAgain);
    }
  }

  std::unique_ptr<tc::Monitor> monitor_;
  tc::PinnedNode node_;
  NodeOptions folders_;
  Clock::time_point renewed_;
  const std::int64_t tick_ns_ = tc::kernel_tick_clock().tick_ns;
};

}  // namespace

Result<std::unique_ptr<sim::NodeWatch>> watch_pinned(const sim::NodeAgent& agent) {
  auto monitor = tc::Monitor::start(agent.pin_path(), 0);
  if (!monitor) return fail_as(monitor);
  auto node = tc::PinnedNode::open(agent.pin_path());
  if (!node) return fail_as(node);
  return std::make_unique<PinnedWatch>(std::move(*monitor), std::move(*node),
                                       NodeOptions{agent.pin_path(), agent.run_folder(), false});
}

}  // namespace postern::cli
