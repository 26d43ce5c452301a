// SPDX-License-Identifier: Apache-2.0
#include "agent/view/node_view.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::agent {
namespace {

NodeView some_view() {
  NodeView view;
  view.node = "node-1";
  view.source = "kubernetes";
  view.written = "2026-01-02T03:04:05Z";
  view.process = 4711;
  view.generation = 7;
  view.abi = 4;
  view.tables = TableStamp{0xfedcba9876543210, 5, 0xffffffffffffffff};
  view.strict = true;
  view.policies = 2;
  ViewedPod pod;
  pod.pod = {"shop", "db-0"};
  pod.endpoint = EndpointId{3};
  pod.ifindex = 12;
  pod.interface = "veth12";
  pod.addresses = {*IpAddress::parse("10.0.0.9"), *IpAddress::parse("2001:db8::9")};
  pod.judged = {true, false};
  pod.isolating[PN_INGRESS] = {"shop/db-in", "shop/shut"};
  pod.judging[PN_EGRESS] = {"guard (Admin)", "all (Baseline)"};
  view.pods = {pod};
  view.not_found = {{"shop", "lost"}};
  view.rules = {{RuleId{4}, {{PolicyKind::network_policy, {"shop", "db-in"}}, Direction::ingress, 0}, Tier::network_policy},
                {RuleId{9}, {{PolicyKind::cluster_network_policy, {"", "all"}}, Direction::egress, 2}, Tier::baseline, 12}};
  view.complete = false;
  return view;
}

TEST(NodeView, WhatWasWrittenIsRead) {
  const auto read = parse_view(to_json(some_view()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, some_view());
}

TEST(NodeView, OneThatDoesNotSayWhatTablesItIsOfIsReadAllTheSame) {
  NodeView view = some_view();
  view.tables.reset();
  const auto read = parse_view(to_json(view));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, view);
}

TEST(NodeView, PodsAndRulesAreFoundByTheirNumbers) {
  const NodeView view = some_view();
  ASSERT_NE(view.pod_of(EndpointId{3}), nullptr);
  EXPECT_EQ(view.pod_of(EndpointId{3})->pod.to_string(), "shop/db-0");
  EXPECT_EQ(view.pod_of(EndpointId{4}), nullptr);
  ASSERT_NE(view.rule(RuleId{4}), nullptr);
  EXPECT_EQ(to_string(*view.rule(RuleId{4})), "shop/db-in rule 1");
  EXPECT_EQ(to_string(*view.rule(RuleId{9})), "all rule 3 (Baseline)");
  EXPECT_EQ(view.rule(RuleId{5}), nullptr);
  EXPECT_EQ(view.rule(RuleId{10}), nullptr);
}

struct Refusal {
  const char* name;
  std::string from, to;  // replaced in the text of a good view; nothing replaced: `to` is the text
  ErrorCode code;
  const char* words;
};

TEST(NodeView, WhatIsNoViewIsRefusedWithTheReason) {
  const Refusal rows[] = {
      {"nothing", "", "", ErrorCode::invalid_input, "no JSON object"},
      {"cut off", "", R"({"format": 1, "node")", ErrorCode::invalid_input, "no JSON object"},
      {"a list", "", "[]", ErrorCode::invalid_input, "no JSON object"},
      {"another format", "\"format\": 1", "\"format\": 2", ErrorCode::unsupported, "format 2, this program reads 1"},
      {"a key is missing", "\"policies\"", "\"polices\"", ErrorCode::invalid_input, "policies"},
      {"text for a number", "\"ifindex\": 12", "\"ifindex\": \"12\"", ErrorCode::invalid_input, "number"},
      {"a stamp without its digest", "\"digest\"", "\"digit\"", ErrorCode::invalid_input, "digest"},
      {"a number for a list", "\"rules\": [", "\"rules\": 1, \"other\": [", ErrorCode::invalid_input, ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    std::string text = row.to;
    if (!row.from.empty()) {
      text = to_json(some_view());
      const auto at = text.find(row.from);
      ASSERT_NE(at, std::string::npos);
      text.replace(at, row.from.size(), row.to);
    }
    const auto read = parse_view(text);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, row.code);
    EXPECT_NE(read.error().message.find(row.words), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace postern::agent
