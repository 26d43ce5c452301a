// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/traffic_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

namespace postern::agent {
namespace {

std::string page_of(const prometheus::Registry& registry) {
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

// Whether a line of the page is exactly this.
bool has_line(const std::string& page, const std::string& line) {
  return ("\n" + page).find("\n" + line + "\n") != std::string::npos;
}

std::vector<pn_counter> some_counters() {
  std::vector<pn_counter> counters(PN_COUNTERS);
  counters[pn_counter_index(PN_INGRESS, PN_REASON_ISOLATED)] = {3, 300};
  counters[pn_counter_index(PN_INGRESS, PN_REASON_DENIED_ADMIN)] = {2, 200};
  counters[pn_counter_index(PN_INGRESS, PN_REASON_DENIED_BASELINE)] = {5, 500};
  counters[pn_counter_index(PN_EGRESS, PN_REASON_RULE)] = {7, 700};
  counters[PN_COUNTER_EVENTS] = {11, 0};
  counters[PN_COUNTER_EVENTS_LOST] = {4, 0};
  counters[PN_COUNTER_OPENED] = {6, 0};
  counters[PN_COUNTER_EVICTED] = {1, 0};
  return counters;
}

TEST(TrafficMetrics, counters_become_series_by_direction_tier_and_reason) {
  prometheus::Registry registry;
  TrafficMetrics metrics(registry, true);
  metrics.set_counters(some_counters());
  metrics.set_seeded(9);
  const std::string page = page_of(registry);
  for (const char* line : {
           R"(postern_verdict_packets_total{direction="ingress",reason="isolated",tier="NETWORK_POLICY"} 3)",
           R"(postern_verdict_packets_total{direction="ingress",reason="denied",tier="ADMIN"} 2)",
           R"(postern_verdict_packets_total{direction="ingress",reason="denied",tier="BASELINE"} 5)",
           R"(postern_verdict_bytes_total{direction="egress",reason="rule",tier="NETWORK_POLICY"} 700)",
           R"(postern_dropped_packets_total{direction="ingress",reason="denied"} 7)",
           R"(postern_dropped_bytes_total{direction="ingress",reason="isolated"} 300)",
           R"(network_policy_drop_count_total{direction="ingress"} 10)",
           R"(network_policy_drop_bytes_total{direction="ingress"} 1000)",
           R"(network_policy_drop_count_total{direction="egress"} 0)",
           "# HELP network_policy_drop_count_total Total number of packets dropped by network policy agent",
           R"(postern_ring_events_total{ring="events"} 11)",
           R"(postern_ring_events_lost_total{ring="events"} 4)",
           "postern_conntrack_inserts_total 6",
           "postern_conntrack_evictions_total 1",
           "postern_conntrack_seeded_total 9",
       }) {
    EXPECT_TRUE(has_line(page, line)) << line << "\n" << page;
  }
  EXPECT_EQ(page.find(R"(postern_dropped_packets_total{direction="egress",reason="rule")"), std::string::npos) << "allowed";
}

// A series that begins with its first burst has no increase by it.
TEST(TrafficMetrics, every_series_is_there_before_its_first_packet_and_there_are_no_more_of_them) {
  prometheus::Registry registry;
  TrafficMetrics metrics(registry, true);
  EXPECT_EQ(page_of(registry).find("postern_verdict_packets_total{"), std::string::npos)
      << "before the kernel was asked: a 0 now and its count then would be an increase that never was";
  metrics.set_counters(std::vector<pn_counter>(PN_COUNTERS));
  const std::string page = page_of(registry);
  for (const char* line : {
           R"(postern_verdict_packets_total{direction="ingress",reason="denied",tier="ADMIN"} 0)",
           R"(postern_verdict_bytes_total{direction="egress",reason="established",tier="DEFAULT"} 0)",
           R"(postern_verdict_packets_total{direction="ingress",reason="none",tier="ERROR"} 0)",
           R"(postern_dropped_packets_total{direction="egress",reason="spoofed-source"} 0)",
           R"(postern_dropped_bytes_total{direction="ingress",reason="strict"} 0)",
           R"(network_policy_drop_count_total{direction="ingress"} 0)",
           R"(network_policy_drop_bytes_total{direction="egress"} 0)",
           R"(postern_ring_events_lost_total{ring="events"} 0)",
           "postern_conntrack_evictions_total 0",
       }) {
    EXPECT_TRUE(has_line(page, line)) << line << "\n" << page;
  }
  const auto series_of = [](const std::string& text, const std::string& name) {
    std::size_t count = 0;
    for (std::size_t at = text.find("\n" + name + "{"); at != std::string::npos; at = text.find("\n" + name + "{", at + 1)) {
      ++count;
    }
    return count;
  };
  const auto count_all = [&](const std::string& text) {
    return std::pair(series_of(text, "postern_verdict_packets_total"), series_of(text, "postern_dropped_packets_total"));
  };
  EXPECT_EQ(count_all(page), std::pair(std::size_t{2 * 23}, std::size_t{2 * 11})) << page;
  EXPECT_EQ(page.find("unknown"), std::string::npos);
  std::vector<pn_counter> all(PN_COUNTERS, pn_counter{1, 1});
  metrics.set_counters(all);
  EXPECT_EQ(count_all(page_of(registry)), count_all(page));
}

TEST(TrafficMetrics, without_event_logs_the_amazon_agents_counters_are_not_there) {
  prometheus::Registry registry;
  TrafficMetrics metrics(registry, false);
  metrics.set_counters(some_counters());
  EXPECT_EQ(page_of(registry).find("network_policy_drop"), std::string::npos);
}

TEST(TrafficMetrics, the_amazon_agents_histogram_has_its_buckets) {
  prometheus::Registry registry;
  TrafficMetrics metrics(registry, false);
  metrics.policy_endpoint_in_force(0.3);
  const std::string page = page_of(registry);
  const std::string name = "awsnodeagent_policy_programming_latency_seconds";
  std::size_t buckets = 0;
  for (std::size_t at = page.find(name + "_bucket"); at != std::string::npos; at = page.find(name + "_bucket", at + 1)) {
    ++buckets;
  }
  EXPECT_EQ(buckets, 2u + 59u + 12u + 7u + 1u);
  EXPECT_TRUE(has_line(page, name + R"(_bucket{le="0.25"} 0)"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{le="0.5"} 1)"));
  EXPECT_TRUE(has_line(page, name + R"(_bucket{le="300"} 1)"));
}

TEST(TriggerTime, is_read_with_fractions_and_zones) {
  constexpr std::int64_t kNow = 1'767'323'050'000'000'000;  // 2026-01-02T03:04:10Z
  const struct {
    const char* moment;
    std::optional<double> passed;
  } rows[] = {{"2026-01-02T03:04:05Z", 5.0},           {"2026-01-02T03:04:09.25Z", 0.75},
              {"2026-01-02T03:04:08.500000000Z", 1.5}, {"2026-01-02T05:04:05+02:00", 5.0},
              {"2026-01-02T03:04:11Z", std::nullopt},  {"2026-01-02", std::nullopt},
              {"", std::nullopt},                      {"2026-01-02T03:04:05", std::nullopt}};
  for (const auto& row : rows) {
    const auto passed = seconds_since(row.moment, kNow);
    ASSERT_EQ(passed.has_value(), row.passed.has_value()) << row.moment;
    if (passed) {
      EXPECT_NEAR(*passed, *row.passed, 1e-3) << row.moment;
    }
  }
}

TEST(TriggerTimes, tell_each_change_once_and_nothing_of_the_start) {
  std::map<NamespacedName, PolicyEndpoint> slices;
  slices[{"x", "p-1"}].last_change_trigger_time = "t1";
  slices[{"x", "p-2"}];
  TriggerTimes times;
  EXPECT_TRUE(times.take(slices).empty());
  slices[{"x", "p-1"}].last_change_trigger_time = "t2";
  slices[{"x", "p-3"}].last_change_trigger_time = "t3";
  EXPECT_EQ(times.take(slices), (std::vector<std::string>{"t2", "t3"}));
  EXPECT_TRUE(times.take(slices).empty());
}

TEST(TrafficMetrics, records_for_cloudwatch_have_one_outcome_each) {
  prometheus::Registry registry;
  TrafficMetrics metrics(registry, true);
  cloudwatch::DeliveryCounters counters;
  counters.sent = 9;
  counters.lost_queue_full = 2;
  counters.lost_too_old = 1;
  counters.held_events = 4;
  counters.requests = 5;
  counters.failures = 3;
  metrics.set_cloudwatch(counters);
  const std::string page = page_of(registry);
  for (const char* line : {
           R"(postern_cloudwatch_events_total{outcome="sent"} 9)",
           R"(postern_cloudwatch_events_total{outcome="queue_full"} 2)",
           R"(postern_cloudwatch_events_total{outcome="too_old"} 1)",
           R"(postern_cloudwatch_events_total{outcome="refused"} 0)",
           "postern_cloudwatch_events_held 4",
           "postern_cloudwatch_requests_total 5",
           "postern_cloudwatch_failures_total 3",
       }) {
    EXPECT_TRUE(has_line(page, line)) << line << "\n" << page;
  }
}

}  // namespace
}  // namespace postern::agent
