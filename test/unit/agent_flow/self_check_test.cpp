// SPDX-License-Identifier: Apache-2.0
// Verdicts of a kernel that tells the truth, and of one that lies.
#include "agent/flow/self_check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "test/unit/agent_flow/events.h"

namespace postern::agent {
namespace {

namespace fs = std::filesystem;

class SelfCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern_verify_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    EndpointPolicy endpoint;
    endpoint.endpoint = EndpointId{7};
    endpoint.ifindex = 12;
    endpoint.pod = {"shop", "db-0"};
    auto& ingress = endpoint.directions[0];
    ingress.isolated = true;
    ResolvedRule rule;
    rule.id = RuleId{3};
    rule.any_peer = true;
    rule.ports = {{Protocol::tcp, {443, 443}}};
    ingress.rules.push_back(rule);
    policy_.endpoints.push_back(endpoint);
  }
  void TearDown() override { fs::remove_all(folder_); }

  SelfCheck make(std::uint32_t sample, bool with_scenario = false) {
    SelfCheckSources sources;
    sources.policy = [this]() -> const ResolvedPolicy& { return policy_; };
    sources.cluster = [this]() -> const ClusterSnapshot& { return cluster_; };
    sources.name = [](const pn_event& event) {
      FlowRecord record;
      record.sequence = event.sequence;
      return record;
    };
    if (with_scenario) {
      sources.scenario = [](const ClusterSnapshot&, const FlowRecord& flow) {
        return Result<std::string>("scenario of " + std::to_string(flow.sequence) + "\n");
      };
    }
    SelfCheck check({sample, folder_, 2}, std::move(sources));
    check.policy_in_force(Instant{0});
    return check;
  }
  static pn_event with_step(std::uint32_t step, std::uint16_t port = 80, double at_s = 1) {
    pn_event event = denied_event(1, at_s);
    event.step = step;
    event.destination_port = port;
    return event;
  }

  std::string folder_;
  ResolvedPolicy policy_;
  ClusterSnapshot cluster_;
};

TEST_F(SelfCheckTest, compares_what_can_be_decided_and_nothing_else) {
  struct Row {
    const char* name;
    pn_event event;
    SelfCheckCounts counts;
  };
  const auto changed = [](void (*change)(pn_event&)) {
    pn_event event = denied_event(1);
    change(event);
    return event;
  };
  const SelfCheckCounts agree{1, 0, 0}, differ{0, 1, 0}, neither{0, 0, 1};
  const Row rows[] = {
      {"a right denial", with_step(pn_step_deny(PN_REASON_ISOLATED, 0)), agree},
      {"a right permission", with_step(pn_step_allow(PN_REASON_RULE, 3), 443), agree},
      {"a hole", with_step(pn_step_allow(PN_REASON_RULE, 3), 80), differ},
      {"a wrong denial", with_step(pn_step_deny(PN_REASON_ISOLATED, 0), 443), differ},
      {"another rule", with_step(pn_step_allow(PN_REASON_RULE, 4), 443), differ},
      {"another reason", with_step(pn_step_deny(PN_REASON_STRICT, 0)), differ},
      {"a zeroed word of a table", with_step(0), differ},
      {"established", with_step(pn_step_allow(PN_REASON_ESTABLISHED, 3)), neither},
      {"related", with_step(pn_step_allow(PN_REASON_RELATED, 0)), neither},
      {"spoofed", with_step(pn_step_deny(PN_REASON_SPOOFED_SOURCE, 0)), neither},
      {"malformed", with_step(pn_step_deny(PN_REASON_MALFORMED, 0)), neither},
      {"not IP", changed([](pn_event& e) { e.family = 0; }), neither},
      {"a pod that is gone", changed([](pn_event& e) { e.endpoint = 8; }), neither},
      {"an interface that was another's", changed([](pn_event& e) { e.ifindex = 13; }), neither},
      {"a direction that nobody judges", changed([](pn_event& e) {
         e.direction = PN_EGRESS;
         e.step = pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
       }), agree},
  };
  for (const Row& row : rows) {
    SelfCheck check = make(1);
    check.take(row.event);
    EXPECT_EQ(check.counts().agree, row.counts.agree) << row.name;
    EXPECT_EQ(check.counts().differ, row.counts.differ) << row.name;
    EXPECT_EQ(check.counts().not_comparable, row.counts.not_comparable) << row.name;
  }
}

TEST_F(SelfCheckTest, verdicts_of_the_policy_before_are_not_compared) {
  SelfCheck check = make(1);
  check.policy_in_force(Instant{seconds(5).ns});
  const auto wrong = [](double at_s) { return with_step(pn_step_allow(PN_REASON_RULE, 9), 80, at_s); };
  check.take(wrong(4.999));
  EXPECT_EQ(check.counts().not_comparable, 1u);
  check.take(wrong(5));
  EXPECT_EQ(check.counts().differ, 1u);
  check.policy_failed();
  check.take(wrong(6));
  EXPECT_EQ(check.counts().not_comparable, 2u) << "some part of a change may be in the tables";
}

TEST_F(SelfCheckTest, one_of_so_many_events_is_looked_at) {
  SelfCheck check = make(10);
  for (int i = 0; i < 105; ++i) check.take(denied_event(1));
  EXPECT_EQ(check.counts().agree, 10u);
  SelfCheck off = make(0);
  off.take(denied_event(1));
  EXPECT_EQ(off.counts().agree + off.counts().not_comparable, 0u);
}

TEST_F(SelfCheckTest, a_difference_leaves_a_scenario_and_no_more_than_a_few) {
  SelfCheck check = make(1, true);
  for (std::uint32_t i = 1; i <= 5; ++i) {
    pn_event event = with_step(pn_step_allow(PN_REASON_RULE, 9), 80, 11.0 * i);
    event.sequence = i;
    check.take(event);
    check.take(event);  // at once again: counted, not written
  }
  EXPECT_EQ(check.counts().differ, 10u);
  const auto text = [&](const char* name) {
    std::ostringstream out;
    out << std::ifstream(folder_ + "/" + name).rdbuf();
    return out.str();
  };
  EXPECT_EQ(text("mismatch-01.yaml"), "scenario of 1\n");
  EXPECT_EQ(text("mismatch-02.yaml"), "scenario of 2\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}), 2);
}

}  // namespace
}  // namespace postern::agent
