// SPDX-License-Identifier: Apache-2.0
// Lists and objects lose what a question does not need, and nothing that it does.
#include "sim/record/shrink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "sim/record/shrink_objects.h"

namespace postern::sim {
namespace {

TEST(ShrinkList, ExactlyWhatIsNeededStays) {
  const std::vector<std::set<int>> rows{{}, {0}, {99}, {0, 99}, {1, 2, 50}, {13, 14, 15, 16, 17}};
  for (const auto& needed : rows) {
    std::vector<int> list(100);
    std::iota(list.begin(), list.end(), 0);
    std::size_t asked = 0;
    shrink_list(list, [&] {
      ++asked;
      return std::all_of(needed.begin(), needed.end(),
                         [&](int one) { return std::find(list.begin(), list.end(), one) != list.end(); });
    });
    EXPECT_EQ(list, std::vector<int>(needed.begin(), needed.end()));
    EXPECT_LT(asked, 100u) << "halves go first";
  }
}

// Of three that can each go while another is left, one stays.
TEST(ShrinkList, WhatOneElementAllowsIsTriedAgainForTheOthers) {
  std::vector<int> list{1, 2, 3, 4, 5};
  // 5 can only go after 1 has: a pass that went over the list once would keep it.
  shrink_list(list, [&] {
    const auto has = [&](int one) { return std::find(list.begin(), list.end(), one) != list.end(); };
    return has(3) && (has(1) || !has(2)) && (has(5) || !has(1));
  });
  EXPECT_EQ(list, std::vector<int>{3});
}

TEST(ShrinkObjects, PartsGoOneByOne) {
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  policy.isolates_egress = true;
  policy.pod_selector.match_labels = {{"app", "web"}, {"tier", "front"}};
  PolicyRule rule;
  rule.peers = {PodPeer{LabelSelector{{{"team", "a"}}, {}}, LabelSelector{{{"app", "api"}}, {}}},
                IpBlock{Cidr(IpAddress::v4(0x0a000000), 8), {Cidr(IpAddress::v4(0x0a010000), 16)}}};
  rule.ports = {{Protocol::tcp, PortRange{80, 80}}, {Protocol::udp, PortRange{53, 53}}};
  policy.ingress = {rule, rule};
  policy.egress = {rule};
  std::vector<manifest::Object> objects{{{}, "NetworkPolicy", policy}};
  // One label, one peer's block with its except, one port are what matters.
  shrink_objects(objects, [&] {
    if (objects.empty()) return false;
    const auto& now = std::get<NetworkPolicy>(objects.front().value);
    if (!now.pod_selector.match_labels.contains("app") || now.ingress.empty()) return false;
    const PolicyRule& first = now.ingress.front();
    const bool excepts = std::any_of(first.peers.begin(), first.peers.end(), [](const PolicyPeer& peer) {
      const auto* block = std::get_if<IpBlock>(&peer);
      return block != nullptr && !block->excepts.empty();
    });
    return excepts && std::any_of(first.ports.begin(), first.ports.end(), [](const PolicyPort& port) {
      return port.protocol == Protocol::udp && port.port;
    });
  });
  NetworkPolicy expected;
  expected.key = {"x", "p"};
  expected.isolates_ingress = false;
  expected.isolates_egress = true;
  expected.pod_selector.match_labels = {{"app", "web"}};
  expected.ingress = {{{rule.peers[1]}, {rule.ports[1]}}};
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(std::get<NetworkPolicy>(objects.front().value), expected);
}

}  // namespace
}  // namespace postern::sim
