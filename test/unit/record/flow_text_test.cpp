// SPDX-License-Identifier: Apache-2.0
// Flows as people and logs write them.
#include "sim/record/flow_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace postern::sim {
namespace {

using testing::HasSubstr;

struct FlowRow {
  const char* text;
  const char *from, *to, *port, *protocol;
};

TEST(FlowText, EndsPortAndProtocolAreToldApart) {
  constexpr std::array<FlowRow, 10> kRows{{
      {"x/a -> y/b:80/TCP", "x/a", "y/b", "80", "TCP"},
      {"x/a->y/b:80", "x/a", "y/b", "80", "TCP"},
      {"x/a:40000 -> y/b:http/udp", "x/a", "y/b", "http", "UDP"},
      {"10.0.0.1 -> y/b/ICMP", "10.0.0.1", "y/b", "", "ICMP"},
      {"fd00::1 -> fd00::2/icmpv6", "fd00::1", "fd00::2", "", "ICMP"},
      {"[fd00::1]:4000 -> [fd00::2]:53/SCTP", "fd00::1", "fd00::2", "53", "SCTP"},
      {"x/a -> service:y/web:80/TCP", "x/a", "service:y/web", "80", "TCP"},
      {"x/a -> service:y/web", "x/a", "service:y/web", "", "TCP"},
      {"node:n1 -> x/a:80", "node:n1", "x/a", "80", "TCP"},
      {"x/a -> 10.0.0.2/47", "x/a", "10.0.0.2", "", "47"},
  }};
  for (const auto& row : kRows) {
    const auto flow = parse_flow(row.text);
    ASSERT_TRUE(flow) << row.text << ": " << flow.error().message;
    EXPECT_EQ(flow->from, row.from) << row.text;
    EXPECT_EQ(flow->to, row.to) << row.text;
    EXPECT_EQ(flow->port, row.port) << row.text;
    EXPECT_EQ(flow->protocol, row.protocol) << row.text;
  }
}

struct Refusal {
  const char *text, *says;
};

TEST(FlowText, WhatIsNoFlowIsSaid) {
  constexpr std::array<Refusal, 7> kRows{{
      {"x/a y/b", "found no ->"},
      {"x/a -> y/b -> z/c", "found two ->"},
      {"-> y/b:80", "found an end without a name"},
      {"x/a ->", "found an end without a name"},
      {"x/a -> [fd00::1:80", "found [ without ]"},
      {"x/a -> y/b:", "found no port after :"},
      {"x/a:http -> y/b:80", "found the source port"},
  }};
  for (const auto& row : kRows) {
    const auto flow = parse_flow(row.text);
    ASSERT_FALSE(flow) << row.text;
    EXPECT_THAT(flow.error().message, HasSubstr(row.says)) << row.text;
  }
}

struct RecordRow {
  const char* line;
  const char *from, *to, *port, *protocol;
  std::optional<bool> allowed;
  std::optional<Direction> direction;
  const char* when;
};

TEST(FlowRecord, EveryFormSaysTheSameThings) {
  const std::array<RecordRow, 6> rows{{
      {"Flow Info: Src IP: 10.0.0.1 Src Port: 4000 Dest IP: 10.0.0.2 Dest Port: 80 Proto TCP Verdict DENY Direction "
       "ingress, Tier NETWORK_POLICY",
       "10.0.0.1", "10.0.0.2", "80", "TCP", false, Direction::ingress, ""},
      {"Flow Info: Src IP: fd00::1 Src Port: 4000 Dest IP: fd00::2 Dest Port: 53 Proto: UDP Verdict: ACCEPT Direction: "
       "egress Tier: DEFAULT",
       "fd00::1", "fd00::2", "53", "UDP", true, Direction::egress, ""},
      {R"({"level":"info","ts":"T","msg":"Flow Info: Src IP: 10.0.0.1 Src Port: 0 Dest IP: 10.0.0.2 Dest Port: 0 Proto ICMP Verdict DENY Direction egress, Tier DEFAULT"})",
       "10.0.0.1", "10.0.0.2", "", "ICMP", false, Direction::egress, "T"},
      {"Node: n;SIP: 10.0.0.1;SPORT: 4000;DIP: 10.0.0.2;DPORT: 80;PROTOCOL: SCTP;PolicyVerdict: DENY;Tier: DEFAULT",
       "10.0.0.1", "10.0.0.2", "80", "SCTP", false, std::nullopt, ""},
      {R"({"msg":"flow","src_ip":"fd00::1","src_port":1,"dst_ip":"fd00::2","dst_port":443,"protocol":"TCP","verdict":"allow","direction":"ingress"})",
       "fd00::1", "fd00::2", "443", "TCP", true, Direction::ingress, ""},
      {R"({"src":"10.0.0.1","dst":"10.0.0.2","dport":"53","proto":"udp"})", "10.0.0.1", "10.0.0.2", "53", "UDP",
       std::nullopt, std::nullopt, ""},
  }};
  for (const auto& row : rows) {
    const auto flow = parse_flow_record(row.line);
    ASSERT_TRUE(flow) << row.line << ": " << flow.error().message;
    const FlowText expected{row.from, row.to, row.port, row.protocol, row.allowed, row.direction, row.when};
    EXPECT_EQ(*flow, expected) << row.line;
  }
}

TEST(FlowRecord, WhatIsMissingIsSaid) {
  constexpr std::array<Refusal, 6> kRows{{
      {"hello", "found no flow in the record"},
      {"{", "is no JSON"},
      {R"({"msg":"hello"})", "found no flow in the record"},
      {R"({"src":"10.0.0.1","dst":"b","dport":53,"proto":"udp"})", "destination address: found \"b\""},
      {R"({"src":"10.0.0.1","dst":"10.0.0.2","dport":53})", "protocol: found \"\""},
      {R"({"src":"10.0.0.1","dst":"10.0.0.2","proto":"tcp"})", "destination port: found \"\""},
  }};
  for (const auto& row : kRows) {
    const auto flow = parse_flow_record(row.text);
    ASSERT_FALSE(flow) << row.text;
    EXPECT_THAT(flow.error().message, HasSubstr(row.says)) << row.text;
  }
}

}  // namespace
}  // namespace postern::sim
