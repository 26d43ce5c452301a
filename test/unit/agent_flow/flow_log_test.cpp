// SPDX-License-Identifier: Apache-2.0
// From the ring to the log, on a loop, with a ring in memory.
#include "agent/flow/flow_log.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/flow/flow_text.h"
#include "agent/log/log.h"
#include "test/unit/agent_flow/events.h"

namespace postern::agent {
namespace {

// A ring and nothing else.
class RingBackend final : public Backend {
 public:
  RingBackend() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~RingBackend() override { close(fd_); }
  void put(const pn_event& event) {
    pending.push_back(event);
    const std::uint64_t one = 1;
    (void)!write(fd_, &one, sizeof one);
  }
  Result<std::size_t> drain_events(EventSink& sink) override {
    ++drains;
    std::uint64_t count = 0;
    (void)!read(fd_, &count, sizeof count);
    const auto taken = std::exchange(pending, {});
    for (const auto& event : taken) sink.on_event(event);
    return taken.size();
  }
  int event_fd() const override { return fd_; }

  std::string_view name() const override { return "ring"; }
  TickClock clock() const override { return {}; }
  const TableSizes& sizes() const override { return sizes_; }
  Result<void> apply(const TableDelta&) override { return {}; }
  Result<PolicyTables> dump() const override { return PolicyTables(sizes_); }
  Result<void> attach(std::uint32_t) override { return {}; }
  Result<void> detach(std::uint32_t) override { return {}; }
  Result<std::vector<ConntrackEntry>> conntrack() const override { return std::vector<ConntrackEntry>{}; }
  Result<void> forget_connections(EndpointId) override { return {}; }
  Result<void> age_connections(Duration) override { return {}; }
  Result<std::vector<pn_counter>> counters() const override { return std::vector<pn_counter>{}; }
  PacketInjector* injector() override { return nullptr; }

  std::vector<pn_event> pending;
  int drains = 0;

 private:
  TableSizes sizes_;
  int fd_;
};

class FlowLogTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern_flow_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    file_ = folder_ + "/log";
    auto made = EventLoop::make();
    ASSERT_TRUE(made);
    loop_ = std::move(*made);
  }
  void TearDown() override {
    log_.reset();
    ASSERT_TRUE(set_up_log({}));
    std::filesystem::remove_all(folder_);
  }
  void start(LogLevel level, const FlowLogOptions& options = {}) {
    ASSERT_TRUE(set_up_log({.level = level, .file = file_}));
    FlowSources sources;
    sources.node = "node-1";
    sources.policy = [this]() -> const ResolvedPolicy& { return policy_; };
    sources.rules = [this]() -> const RuleRegistry& { return rules_; };
    sources.cluster = [this]() -> const ClusterSnapshot& { return cluster_; };
    sources.interface_name = [](std::uint32_t) { return std::string(); };
    log_ = std::make_unique<FlowLog>(*loop_, ring_, std::move(sources), options);
    ASSERT_TRUE(log_->start());
  }
  void run_for(Duration duration) {
    loop_->after(duration, [this] { loop_->stop(); });
    ASSERT_TRUE(loop_->run());
  }
  std::vector<std::string> lines() {
    std::ifstream file(file_);
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  static pn_event allowed(std::uint16_t port) {
    pn_event event = denied_event(port);
    event.step = pn_step_allow(PN_REASON_RULE, 1);
    return event;
  }

  std::string folder_, file_;
  std::unique_ptr<EventLoop> loop_;
  RingBackend ring_;
  ResolvedPolicy policy_;
  RuleRegistry rules_;
  ClusterSnapshot cluster_;
  std::unique_ptr<FlowLog> log_;
};

TEST_F(FlowLogTest, a_denial_is_a_line_of_level_info_at_every_level) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::warn, LogLevel::fatal}) {
    std::filesystem::remove(file_);
    start(level);
    ring_.put(denied_event(1));
    log_->drain();
    const auto written = lines();
    ASSERT_EQ(written.size(), 1u) << to_string(level);
    EXPECT_EQ(written[0].rfind(R"({"level":"info","ts":")", 0), 0u) << written[0];
    EXPECT_NE(written[0].find(R"(,"caller":"flow/flow_log.cpp:)"), std::string::npos) << written[0];
    EXPECT_NE(written[0].find(R"("msg":"Flow Info: Src IP: 10.0.0.5 Src Port: 1 Dest IP: 10.0.0.9 Dest Port: 80 )"
                              R"(Proto TCP Verdict DENY Direction ingress, Tier NETWORK_POLICY"})"),
              std::string::npos)
        << written[0];
    log_.reset();
  }
}

TEST_F(FlowLogTest, an_allowed_flow_is_a_line_of_level_debug_and_only_there) {
  start(LogLevel::debug);
  ring_.put(allowed(1));
  log_->drain();
  set_log_level(LogLevel::info);
  ring_.put(allowed(2));
  log_->drain();
  const auto written = lines();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].rfind(R"({"level":"debug")", 0), 0u);
  EXPECT_EQ(log_->counts().below_level, 1u);
  EXPECT_EQ(log_->counts().written, 1u);
}

TEST_F(FlowLogTest, cloudwatch_gets_denials_at_every_level_and_allowed_flows_at_debug) {
  for (const auto& [level, expected] : {std::pair{LogLevel::debug, 2u}, {LogLevel::info, 1u}, {LogLevel::error, 1u}}) {
    start(level);
    std::vector<std::string> sent;
    log_->forward([&](std::int64_t unix_ms, std::string_view message) {
      EXPECT_GT(unix_ms, 1'700'000'000'000) << "since 1970, not since the start of the machine";
      sent.emplace_back(message);
    });
    ring_.put(denied_event(1));
    ring_.put(allowed(2));
    log_->drain();
    ASSERT_EQ(sent.size(), expected) << to_string(level);
    EXPECT_EQ(sent[0],
              "Node: node-1;SIP: 10.0.0.5;SPORT: 1;DIP: 10.0.0.9;DPORT: 80;PROTOCOL: TCP;PolicyVerdict: DENY;"
              "Tier: NETWORK_POLICY");
    log_.reset();
  }
}

TEST_F(FlowLogTest, json_lines_stand_by_themselves) {
  start(LogLevel::info, {.format = FlowLogFormat::json, .silent = false, .limits = {}});
  ring_.put(denied_event(1));
  log_->drain();
  const auto written = lines();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written[0].rfind(R"({"level":"info","ts":")", 0), 0u);
  EXPECT_NE(written[0].find(R"("msg":"flow","node":"node-1",)"), std::string::npos) << written[0];
  EXPECT_EQ(written[0].back(), '}');
}

TEST_F(FlowLogTest, every_event_has_one_outcome) {
  start(LogLevel::info, {.format = FlowLogFormat::compat,
                         .silent = false,
                         .limits = {.interval = seconds(10), .per_second = 50}});
  std::vector<std::uint64_t> told;
  log_->listen([&](const FlowRecord& record) { told.push_back(record.suppressed); });
  std::uint64_t seen = 0;
  log_->witness([&](const pn_event&) { ++seen; });
  for (std::uint16_t port = 0; port < 300; ++port) ring_.put(denied_event(port % 100));
  ring_.put(allowed(1));
  log_->drain();
  const FlowCounts& counts = log_->counts();
  EXPECT_EQ(counts.received, 301u);
  EXPECT_EQ(counts.written, 50u);
  EXPECT_EQ(counts.suppressed, 100u);
  EXPECT_EQ(counts.over_limit, 150u);
  EXPECT_EQ(counts.below_level, 1u);
  EXPECT_EQ(counts.received, counts.written + counts.suppressed + counts.over_limit + counts.below_level);
  EXPECT_EQ(told.size(), counts.written);
  EXPECT_EQ(seen, counts.received);
  EXPECT_EQ(lines().size(), counts.written);
}

// Times of events are those of the machine, as the timer goes by it.
pn_event denied_now(std::uint16_t port) {
  pn_event event = denied_event(port);
  event.time_ns = static_cast<std::uint64_t>(EventLoop::now().ns);
  return event;
}

TEST_F(FlowLogTest, a_flow_that_ends_has_a_last_line_when_its_interval_is_over_and_no_more) {
  start(LogLevel::info, {.format = FlowLogFormat::json, .silent = false, .limits = {.interval = milliseconds(300)}});
  std::vector<std::uint64_t> told;
  log_->listen([&](const FlowRecord& record) { told.push_back(record.suppressed); });
  for (int i = 0; i < 5; ++i) ring_.put(denied_now(1));
  ring_.put(denied_now(2));
  log_->drain();
  ASSERT_EQ(told.size(), 2u);
  run_for(seconds(2));
  EXPECT_EQ(told, (std::vector<std::uint64_t>{0, 0, 3}));
  const auto written = lines();
  ASSERT_EQ(written.size(), 3u);
  EXPECT_NE(written[2].find(R"("src_port":1,)"), std::string::npos) << written[2];
  EXPECT_NE(written[2].find(R"("suppressed":3})"), std::string::npos) << written[2];
  EXPECT_EQ(log_->counts().summaries, 1u);
  EXPECT_EQ(log_->counts().received, 6u);
  EXPECT_EQ(log_->counts().written, 2u);
  EXPECT_EQ(log_->counts().suppressed, 4u);
  EXPECT_EQ(log_->limiter().remembered(), 0u) << "nothing is left to wake anybody for";
}

TEST_F(FlowLogTest, the_last_line_of_an_allowed_flow_is_left_out_where_the_level_leaves_it_out) {
  start(LogLevel::debug, {.format = FlowLogFormat::json, .silent = false, .limits = {.interval = milliseconds(100)}});
  for (int i = 0; i < 2; ++i) {
    pn_event event = denied_now(1);
    event.step = pn_step_allow(PN_REASON_RULE, 1);
    ring_.put(event);
  }
  log_->drain();
  set_log_level(LogLevel::info);
  run_for(milliseconds(800));
  EXPECT_EQ(lines().size(), 1u);
  EXPECT_EQ(log_->counts().summaries, 0u);
}

TEST_F(FlowLogTest, a_silent_one_shows_events_to_its_witness_and_writes_nothing) {
  start(LogLevel::debug, {.format = FlowLogFormat::compat, .silent = true, .limits = {}});
  std::uint64_t seen = 0;
  log_->witness([&](const pn_event&) { ++seen; });
  ring_.put(denied_event(1));
  log_->drain();
  EXPECT_EQ(seen, 1u);
  EXPECT_EQ(log_->counts().below_level, 1u);
  EXPECT_TRUE(lines().empty());
}

TEST_F(FlowLogTest, it_is_woken_once_looks_again_while_there_is_something_and_then_rests) {
  start(LogLevel::info);
  for (int i = 0; i < 10; ++i) {
    loop_->after(milliseconds(1 + 5 * i), [this, i] { ring_.put(denied_event(static_cast<std::uint16_t>(i))); });
  }
  run_for(milliseconds(300));
  EXPECT_EQ(log_->counts().written, 10u);
  EXPECT_GE(ring_.drains, 3);
  EXPECT_LE(ring_.drains, 6) << "ten events in 50 ms are a look every 20 ms";
  const int before = ring_.drains;
  run_for(milliseconds(200));
  EXPECT_EQ(ring_.drains, before) << "nothing happens, so nothing is done";
  ring_.put(denied_event(77));
  run_for(milliseconds(10));
  EXPECT_EQ(log_->counts().written, 11u) << "woken again";
}

TEST(FlowLogMode, follows_switch_and_level) {
  EXPECT_EQ(event_mode_for(false, false, LogLevel::debug), EventMode::off);
  EXPECT_EQ(event_mode_for(true, false, LogLevel::debug), EventMode::new_flows);
  for (const LogLevel level : {LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::fatal}) {
    EXPECT_EQ(event_mode_for(true, false, level), EventMode::denied);
    EXPECT_EQ(event_mode_for(true, true, level), EventMode::new_flows);
    EXPECT_EQ(event_mode_for(false, true, level), EventMode::new_flows);
  }
}

}  // namespace
}  // namespace postern::agent
