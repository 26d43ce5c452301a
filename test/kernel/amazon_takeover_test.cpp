// SPDX-License-Identifier: Apache-2.0
// A node that the Amazon agent has left: its filters still stand on every pod's interface and let all
// pass, its pins are still there. Postern attaches first, then takes away exactly those.
#include <bpf/bpf.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "backends/tc/filters.h"
#include "test/kernel/counting_program.h"
#include "test/kernel/takeover_fixture.h"

namespace postern::test {
namespace {

// r0 = 0 (TC_ACT_OK: the end of the chain); exit
constexpr bpf_insn kAllow[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};

class AmazonNode : public TakeoverTest {
 protected:
  // Pods 0 and 1 are of one Deployment and share programs; pod 2 is of another.
  void SetUp() override {
    TakeoverTest::SetUp();
    ASSERT_TRUE(add_pods(2));
    cluster_ = cluster_of(3);
    folder_ = private_bpffs() + "/globals/aws";
    ASSERT_TRUE(tc::make_folder(folder_ + "/programs"));
    ASSERT_TRUE(tc::make_folder(folder_ + "/maps"));
    for (const char* pod : {"web-6f5@shop", "db@shop"}) {
      for (const char* end : {"ingress", "egress"}) load(pod, end);
    }
    for (const char* map : {"global_aws_conntrack_map", "global_policy_events", "somebodys_map"}) pin_map(map);
    for (const std::size_t pod : {0u, 1u}) attach("web-6f5@shop", pod);
    attach("db@shop", 2);
    everything_ = pins();
  }
  void TearDown() override {
    TakeoverTest::TearDown();
    for (const char* kind : {"/programs", "/maps"}) {
      for (const std::string& name : names(folder_ + kind)) {
        ASSERT_TRUE(tc::remove_pin(folder_ + kind + "/" + name));
      }
    }
  }

  static std::vector<std::string> names(const std::string& folder) {
    auto found = tc::names_in(folder);
    EXPECT_TRUE(found) << folder;
    return found ? *found : std::vector<std::string>{};
  }
  void load(const std::string& pod, const std::string& end) {
    const std::string name = "handle_" + end;
    UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name.c_str(), "GPL", kAllow, 2, nullptr));
    ASSERT_TRUE(program.valid());
    ASSERT_TRUE(tc::make_pin(program.get(), folder_ + "/programs/" + pod + "_" + name));
    for (const char* map : {"_map", "_pod_state_map"}) pin_map(pod + "_" + end + map);
    pin_map(pod + "_cp_" + end + "_map");
  }
  void pin_map(const std::string& name) {
    const UniqueFd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "aws", 4, 8, 1, nullptr));
    ASSERT_TRUE(tc::make_pin(map.get(), folder_ + "/maps/" + name));
  }
  // As that agent does: what goes into the pod is on the egress hook of the host's end.
  void attach(const std::string& pod, std::size_t index) {
    for (const bool into_pod : {true, false}) {
      const std::string end = into_pod ? "ingress" : "egress";
      auto program = tc::open_pin(folder_ + "/programs/" + pod + "_handle_" + end, tc::PinKind::program);
      ASSERT_TRUE(program);
      ASSERT_TRUE(put_foreign_filter({rig_->pod(index).ifindex, !into_pod, 1, program->get(), true}));
    }
  }

  [[nodiscard]] TcOptions takeover() const {
    TcOptions with = options();
    with.amazon_folder = folder_;
    return with;
  }
  [[nodiscard]] std::vector<std::string> pins() const {
    std::vector<std::string> found;
    for (const char* kind : {"/programs", "/maps"}) {
      for (const std::string& name : names(folder_ + kind)) found.push_back(name);
    }
    return found;
  }
  // Names of the filters on a pod's interface that are not ours.
  [[nodiscard]] std::vector<std::string> others(std::size_t pod) const {
    std::vector<std::string> found;
    const auto filters = tc::Filters::open()->of(rig_->pod(pod).ifindex);
    for (const auto& filter : *filters) {
      const std::string name = filter.name.substr(0, filter.name.find(':'));
      if (name.rfind("pn_", 0) != 0) found.push_back(name);
    }
    return found;
  }
  std::vector<LocalEndpoint> only(std::initializer_list<std::size_t> pods) const {
    std::vector<LocalEndpoint> some;
    for (const std::size_t pod : pods) some.push_back(endpoints_[pod]);
    return some;
  }

  std::string folder_;
  std::vector<std::string> everything_;
};

using Names = std::vector<std::string>;
const Names kTheirs{"handle_egress", "handle_ingress"};

TEST_P(AmazonNode, IsTakenOverPodByPod) {
  std::unique_ptr<NodeEnforcer> ours;
  ASSERT_TRUE(make(takeover(), ours));
  EXPECT_EQ(others(0), kTheirs) << "not before there is a policy";
  ASSERT_TRUE(ours->reconcile(cluster_, only({0}), {}));
  EXPECT_EQ(others(0), Names{});
  EXPECT_EQ(others(1), kTheirs);
  EXPECT_EQ(others(2), kTheirs);
  EXPECT_EQ(pins(), everything_) << "pod 1 still runs the programs that pod 0 ran";
  EXPECT_NE(joined(ours->backend().take_notes()).find("filter handle_ingress"), std::string::npos);

  ASSERT_TRUE(ours->reconcile(cluster_, only({0, 2}), {}));
  EXPECT_EQ(others(2), Names{});
  EXPECT_EQ(others(1), kTheirs);
  for (const std::string& name : pins()) EXPECT_EQ(name.find("db@shop"), std::string::npos) << name;
  EXPECT_EQ(pins().size(), everything_.size() - 8);

  ASSERT_TRUE(ours->reconcile(cluster_, only({0, 1, 2}), {}));
  EXPECT_EQ(others(1), Names{});
  EXPECT_EQ(pins(), Names{"somebodys_map"});
}

TEST_P(AmazonNode, OursJudgesFromTheStartAndOthersRunAgainAfterwards) {
  CountingProgram somebody(false);
  ASSERT_TRUE(put_foreign_filter({rig_->pod(0).ifindex, false, 2, somebody.program_fd(), true}));
  NumberedTraffic traffic(1ms);
  add_flows(traffic);
  for (const char* flow : {"stranger in", "stranger out"}) traffic.expect(flow, Expected::either);
  traffic.start();
  settle(traffic);
  EXPECT_TRUE(traffic.wait_until("stranger in", true, kPatience)) << "the agent that was let everything pass";
  EXPECT_EQ(somebody.seen(), 0u) << "and ended the chain";
  // What one table of connections knew the other has to learn.
  for (const char* flow : kAllowed) traffic.expect(flow, Expected::either);
  ASSERT_TRUE(enforce(takeover()));
  for (const char* flow : {"stranger in", "stranger out"}) {
    EXPECT_TRUE(traffic.wait_until(flow, false, kPatience)) << flow;
    traffic.expect(flow, Expected::is_dropped);
  }
  for (const char* flow : {"in", "out", "answer in", "answer out"}) {
    EXPECT_TRUE(traffic.wait_until(flow, true, kPatience)) << flow;
    traffic.expect(flow, Expected::passes);
  }
  traffic.wait(100);
  EXPECT_GT(somebody.seen(), 0u);
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
  EXPECT_EQ(others(0), Names{"count"}) << "somebody else's filter stays";
}

TEST_P(AmazonNode, WithoutTheOptionNothingOfItIsTouchedAndOursRunsFirst) {
  NumberedTraffic traffic(1ms);
  add_flows(traffic);
  for (const char* flow : {"stranger in", "stranger out"}) traffic.expect(flow, Expected::either);
  traffic.start();
  settle(traffic);
  for (const char* flow : kAllowed) traffic.expect(flow, Expected::either);
  ASSERT_TRUE(enforce(options()));
  for (const char* flow : {"stranger in", "stranger out"}) {
    EXPECT_TRUE(traffic.wait_until(flow, false, kPatience)) << flow << ": theirs admits it";
  }
  EXPECT_TRUE(traffic.wait_until("in", true, kPatience));
  EXPECT_TRUE(traffic.wait_until("out", true, kPatience));
  for (const std::size_t pod : {0u, 1u, 2u}) EXPECT_EQ(others(pod), kTheirs);
  EXPECT_EQ(pins(), everything_);
}

TEST_P(AmazonNode, PinsOfPodsThatAreGoneAndMapsThatWereLeftBehindAreRemovedToo) {
  ASSERT_TRUE(rig_->delete_pod(2));
  for (const char* end : {"ingress", "egress"}) {
    ASSERT_TRUE(tc::remove_pin(folder_ + "/programs/db@shop_handle_" + std::string(end)));
  }
  ASSERT_TRUE(rig_->delete_pod(1));
  endpoints_ = only({0});
  ASSERT_TRUE(enforce(takeover()));
  EXPECT_EQ(pins(), Names{"somebodys_map"});
}

TEST_P(AmazonNode, AFilterOfItsNameWhoseProgramIsNotPinnedThereStays) {
  const std::string aside = private_bpffs() + "/aside";
  ASSERT_TRUE(tc::make_folder(aside));
  for (const char* end : {"ingress", "egress"}) {
    const std::string name = "/db@shop_handle_" + std::string(end);
    ASSERT_TRUE(tc::rename_folder(folder_ + "/programs" + name, aside + name));
  }
  ASSERT_TRUE(enforce(takeover()));
  EXPECT_EQ(others(0), Names{});
  EXPECT_EQ(others(2), kTheirs);
  for (const std::string& name : names(aside)) ASSERT_TRUE(tc::remove_pin(aside + "/" + name));
  ASSERT_TRUE(tc::remove_folder(aside));
}

TEST_P(AmazonNode, ThreeCapabilitiesAreEnough) {
  with_few([&] { return enforce(takeover()); });
  for (const std::size_t pod : {0u, 1u, 2u}) EXPECT_EQ(others(pod), Names{});
  EXPECT_EQ(pins(), Names{"somebodys_map"});
}

TEST_P(AmazonNode, WithoutThatFolderThereIsNothingToTakeOver) {
  TcOptions with = takeover();
  with.amazon_folder = private_bpffs() + "/globals/nobody";
  ASSERT_TRUE(enforce(with));
  EXPECT_EQ(others(0), kTheirs);
}

INSTANTIATE_TEST_SUITE_P(, AmazonNode, testing::Values(false, true),
                         [](const auto& way) { return way.param ? "clsact" : "best"; });

}  // namespace
}  // namespace postern::test
