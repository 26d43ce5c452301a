// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "engine/explain/explain.h"

namespace postern::agent {
namespace {

FlowRecord denied(const char* source, const char* destination) {
  FlowRecord record;
  record.unix_ns = 1'767'323'045'678'000'000;  // 2026-01-02T03:04:05.678Z
  record.node = "node-1";
  record.source.address = *IpAddress::parse(source);
  record.destination.address = *IpAddress::parse(destination);
  record.family = record.source.address.is_v4() ? 4 : 6;
  record.source.port = 40000;
  record.destination.port = 80;
  record.protocol = 6;
  record.tcp_flags = 0x02;
  record.tier = PN_TIER_NETWORK_POLICY;
  record.reason = PN_REASON_ISOLATED;
  return record;
}

TEST(FlowText, compat_messages_are_those_of_each_family) {
  FlowRecord v4 = denied("10.0.0.5", "10.0.0.9");
  EXPECT_EQ(compat_message(v4),
            "Flow Info: Src IP: 10.0.0.5 Src Port: 40000 Dest IP: 10.0.0.9 Dest Port: 80 Proto TCP Verdict DENY "
            "Direction ingress, Tier NETWORK_POLICY");
  FlowRecord v6 = denied("2001:db8::5", "2001:db8::9");
  v6.direction = Direction::egress;
  v6.allowed = true;
  v6.tier = PN_TIER_DEFAULT;
  EXPECT_EQ(compat_message(v6),
            "Flow Info: Src IP: 2001:db8::5 Src Port: 40000 Dest IP: 2001:db8::9 Dest Port: 80 Proto: TCP "
            "Verdict: ACCEPT Direction: egress Tier: DEFAULT");
}

// The Amazon agent's printer drops octets that are zero in front; this one does not.
TEST(FlowText, addresses_keep_their_zero_octets) {
  EXPECT_NE(compat_message(denied("0.0.0.7", "10.0.0.9")).find("Src IP: 0.0.0.7 "), std::string::npos);
}

TEST(FlowText, cloudwatch_messages_are_the_same_for_both_families) {
  EXPECT_EQ(cloudwatch_message(denied("10.0.0.5", "10.0.0.9")),
            "Node: node-1;SIP: 10.0.0.5;SPORT: 40000;DIP: 10.0.0.9;DPORT: 80;PROTOCOL: TCP;PolicyVerdict: DENY;"
            "Tier: NETWORK_POLICY");
  EXPECT_EQ(cloudwatch_message(denied("2001:db8::5", "2001:db8::9")),
            "Node: node-1;SIP: 2001:db8::5;SPORT: 40000;DIP: 2001:db8::9;DPORT: 80;PROTOCOL: TCP;"
            "PolicyVerdict: DENY;Tier: NETWORK_POLICY");
}

TEST(FlowText, protocols_have_the_names_of_the_amazon_agent) {
  const struct {
    std::uint8_t number;
    const char* name;
  } rows[] = {{6, "TCP"},  {17, "UDP"},       {132, "SCTP"},         {1, "ICMP"},
              {58, "UNKNOWN"}, {255, "RESERVED"}, {254, "ANY PROTOCOL"}, {47, "UNKNOWN"}, {0, "UNKNOWN"}};
  for (const auto& row : rows) EXPECT_EQ(compat_protocol(row.number), row.name) << int{row.number};
}

TEST(FlowText, tiers_have_the_names_of_the_amazon_agent) {
  const struct {
    pn_tier tier;
    const char* name;
  } rows[] = {{PN_TIER_ERROR, "ERROR"},
              {PN_TIER_ADMIN, "ADMIN"},
              {PN_TIER_NETWORK_POLICY, "NETWORK_POLICY"},
              {PN_TIER_BASELINE, "BASELINE"},
              {PN_TIER_DEFAULT, "DEFAULT"}};
  for (const auto& row : rows) {
    FlowRecord record = denied("10.0.0.5", "10.0.0.9");
    record.tier = row.tier;
    const std::string text = cloudwatch_message(record);
    EXPECT_TRUE(text.ends_with(std::string(";Tier: ") + row.name)) << text;
  }
}

TEST(FlowText, reasons_belong_to_the_tier_that_gave_them) {
  const struct {
    pn_reason reason;
    pn_tier tier;
  } rows[] = {{PN_REASON_NONE, PN_TIER_ERROR},
              {PN_REASON_NOT_ISOLATED, PN_TIER_DEFAULT},
              {PN_REASON_RULE_ADMIN, PN_TIER_ADMIN},
              {PN_REASON_RULE, PN_TIER_NETWORK_POLICY},
              {PN_REASON_RULE_BASELINE, PN_TIER_BASELINE},
              {PN_REASON_OWN_NODE, PN_TIER_DEFAULT},
              {PN_REASON_ISOLATED, PN_TIER_NETWORK_POLICY},
              {PN_REASON_DENIED_ADMIN, PN_TIER_ADMIN},
              {PN_REASON_DENIED_BASELINE, PN_TIER_BASELINE},
              {PN_REASON_STRICT, PN_TIER_DEFAULT},
              {PN_REASON_SPOOFED_SOURCE, PN_TIER_ERROR},
              {PN_REASON_ETHERTYPE, PN_TIER_ERROR}};
  for (const auto& row : rows) EXPECT_EQ(tier_of_reason(row.reason), row.tier) << reason_name(row.reason);
}

class JsonFlow : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(JsonFlow, a_line_has_everything_that_is_known) {
  FlowRecord record = denied("10.0.0.5", "10.0.0.9");
  record.source.pod = {"shop", "web-5d4f-x"};
  record.source.workload = "Deployment/web";
  record.destination.pod = {"shop", "db-0"};
  record.isolating = {{"shop", "deny"}, {"shop", "lock"}};
  record.interface = "eni1234";
  record.ifindex = 12;
  record.bytes = 74;
  record.cpu = 1;
  record.sequence = 99;
  record.suppressed = 3;
  EXPECT_EQ(json_flow_line(record),
            R"({"level":"info","ts":"2026-01-02T03:04:05.678Z","msg":"flow","node":"node-1","direction":"ingress",)"
            R"("verdict":"deny","tier":"NETWORK_POLICY","reason":"isolated","family":4,"protocol":"TCP",)"
            R"("src_ip":"10.0.0.5","src_port":40000,"src_namespace":"shop","src_pod":"web-5d4f-x",)"
            R"("src_workload":"Deployment/web","dst_ip":"10.0.0.9","dst_port":80,"dst_namespace":"shop",)"
            R"("dst_pod":"db-0","tcp_flags":"SYN","isolated_by":["shop/deny","shop/lock"],"interface":"eni1234",)"
            R"("ifindex":12,"bytes":74,"cpu":1,"sequence":99,"suppressed":3})");
}

TEST_F(JsonFlow, a_rule_has_its_policy_and_an_echo_its_type) {
  FlowRecord record = denied("2001:db8::5", "2001:db8::9");
  record.protocol = 58;
  record.icmp_type = 128;
  record.allowed = true;
  record.reason = PN_REASON_RULE;
  record.rule = FlowRule{{PolicyKind::network_policy, {"shop", "a \"quoted\" name"}}, 2};
  EXPECT_EQ(json_flow_line(record),
            R"({"level":"debug","ts":"2026-01-02T03:04:05.678Z","msg":"flow","node":"node-1","direction":"ingress",)"
            R"("verdict":"allow","tier":"NETWORK_POLICY","reason":"rule","family":6,"protocol":"ICMPv6",)"
            R"("src_ip":"2001:db8::5","dst_ip":"2001:db8::9","icmp_type":128,"icmp_code":0,)"
            R"("policy_namespace":"shop","policy":"a \"quoted\" name","rule":2,"ifindex":0,"bytes":0,"cpu":0,)"
            R"("sequence":0,"suppressed":0})");
}

TEST_F(JsonFlow, what_is_not_ip_has_no_ends) {
  FlowRecord record;
  record.reason = PN_REASON_ETHERTYPE;
  EXPECT_EQ(json_flow_line(record).find("src_ip"), std::string::npos);
}

}  // namespace
}  // namespace postern::agent
