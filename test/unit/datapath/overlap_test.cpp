// SPDX-License-Identifier: Apache-2.0
// A packet that is under way while a policy changes (R14). Every hole of the datapath (env.h) is a place
// where the update may go on: here the writes of the compiler's delta are made at each of them, in every
// two portions, and afterwards the connection must be as the new policy has it. The packet itself may be
// judged by the old policy or by the new one.
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/compile/table_compiler.h"
#include "test/contract/frames.h"
#include "test/support/moving_tables.h"

#include "engine/datapath/pipeline.h"

namespace postern {
namespace {

constexpr std::uint32_t kIfindex = 7;
constexpr test::Socket kPod{test::ip4(10, 0, 0, 1), 40000};
constexpr test::Socket kPeer{test::ip4(10, 0, 0, 2), 80};

// The pod may open to the peer, and from it, as far as its rules say.
ResolvedPolicy policy_of(bool judged, bool egress, bool ingress) {
  ResolvedPolicy policy;
  Term peer;
  peer.key = "peer";
  peer.addresses = {IpAddress::v4(kPeer.address)};
  policy.terms = {peer};
  EndpointPolicy pod;
  pod.endpoint = EndpointId{1};
  pod.ifindex = kIfindex;
  pod.pod = {"x", "pod"};
  pod.addresses = {IpAddress::v4(kPod.address)};
  ResolvedRule rule;
  rule.id = RuleId{1};
  rule.peers = {0};
  rule.any_port = true;
  for (const Direction direction : kDirections) {
    auto& rules = pod.directions[index_of(direction)];
    rules.isolated = judged || direction == Direction::ingress;
    if (rules.isolated && (direction == Direction::egress ? egress : ingress)) rules.rules = {rule};
  }
  policy.endpoints = {pod};
  return policy;
}

class Node {
 public:
  explicit Node(const TableCompiler& compiler) : tables_(compiler.tables()), buckets_(kBuckets) {}

  // Whether the packet passes.
  bool judge(std::uint32_t direction, const test::Bytes& frame, Writer& writer) {
    writer.tables = &tables_;
    pn_env env{.tables = &tables_, .buckets = &buckets_, .writer = &writer, .now_ns = 1'000'000'000};
    const auto* data = reinterpret_cast<const pn_u8*>(frame.data());
    const auto length = static_cast<pn_u32>(frame.size());
    pn_frame packet{data, data + length, length, kIfindex, direction, nullptr};
    const pn_u64 slot = pn_find_slot(&env, kIfindex);
    return !pn_slot_judges(slot) || pn_step_allows(pn_judge(&env, &packet, slot));
  }
  bool judge(std::uint32_t direction, const test::Bytes& frame) {
    Writer none;
    return judge(direction, frame, none);
  }

  using Connections = std::vector<pn_ct_bucket>;
  [[nodiscard]] const Connections& connections() const { return buckets_; }
  void restore(const Connections& connections) { buckets_ = connections; }

  static constexpr std::size_t kBuckets = 4;

 private:
  PolicyTables tables_;
  Connections buckets_;
};

struct Change {
  const char* name;
  ResolvedPolicy before;
  ResolvedPolicy after;
  friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};

// Before each of them the pod may keep up a connection to the peer, and after it no more.
std::vector<Change> changes() {
  std::vector<Change> out;
  out.push_back({"the rule goes", policy_of(true, true, false), policy_of(true, false, false)});
  out.push_back({"the peer leaves", policy_of(true, true, false), policy_of(true, true, false)});
  out.back().after.terms[0].addresses = {IpAddress::v4(test::ip4(10, 9, 9, 9))};
  out.push_back({"the opener's direction becomes isolated", policy_of(false, false, false),
                 policy_of(true, false, false)});
  return out;
}

TableSizes small_sizes() {
  TableSizes sizes;
  sizes.conntrack_buckets = Node::kBuckets;
  return sizes;
}

class Overlap : public ::testing::TestWithParam<Change> {
 protected:
  void SetUp() override {
    TableCompiler compiler(small_sizes());
    ASSERT_TRUE(compiler.update(GetParam().before, {}));
    node_.emplace(compiler);
    ASSERT_TRUE(node_->judge(PN_EGRESS, test::tcp(kPod, kPeer, test::kSyn)));
    ASSERT_TRUE(node_->judge(PN_INGRESS, test::tcp(kPeer, kPod, test::kSyn | test::kAck)));
    connections_ = node_->connections();
    auto delta = compiler.update(GetParam().after, {});
    ASSERT_TRUE(delta);
    delta_ = std::move(*delta);
  }

  // A packet of the connection that meets the update on its way; then whether the connection still lives.
  void meet(std::uint32_t direction, const std::vector<Writer::Portion>& portions) {
    Writer writer;
    writer.writes = delta_.writes;
    writer.portions = portions;
    node_->judge(direction, direction == PN_EGRESS ? data_ : reply_, writer);
    writer.make(delta_.writes.size());
    const auto at = [&] {
      std::string text = direction == PN_EGRESS ? "egress" : "ingress";
      for (const auto& portion : portions)
        text += ", " + std::to_string(portion.until) + " writes before hole " + std::to_string(portion.hole);
      return text;
    };
    EXPECT_FALSE(node_->judge(PN_EGRESS, data_)) << at();
    EXPECT_FALSE(node_->judge(PN_INGRESS, reply_)) << at();
    writer.unmake(0);
    node_->restore(connections_);
  }

  // On the way of a packet that meets no update.
  std::size_t holes(std::uint32_t direction) {
    Writer writer;
    EXPECT_TRUE(node_->judge(direction, direction == PN_EGRESS ? data_ : reply_, writer));
    node_->restore(connections_);
    return writer.hole;
  }

  // Writes that a packet under way may meet: up to the first pause.
  [[nodiscard]] std::size_t at_once() const {
    return delta_.pauses.empty() ? delta_.writes.size() : delta_.pauses.front();
  }

  std::optional<Node> node_;
  Node::Connections connections_;
  TableDelta delta_;
  const test::Bytes data_ = test::tcp(kPod, kPeer, test::kAck);
  const test::Bytes reply_ = test::tcp(kPeer, kPod, test::kAck);
};

TEST_P(Overlap, NoPacketUnderWayKeepsAConnectionThatTheUpdateCuts) {
  for (const std::uint32_t direction : {PN_EGRESS, PN_INGRESS}) {
    const std::size_t last = holes(direction) + 4;  // the new policy may take a longer way
    for (std::size_t first = 0; first < last; ++first) {
      for (std::size_t writes = 0; writes <= at_once(); ++writes) {
        for (std::size_t second = first; second < last; ++second)
          meet(direction, {{first, writes}, {second, at_once()}});
      }
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Changes, Overlap, ::testing::ValuesIn(changes()),
                         [](const ::testing::TestParamInfo<Change>& row) {
                           std::string name = row.param.name;
                           std::erase_if(name, [](char c) { return c == ' ' || c == '\''; });
                           return name;
                         });

}  // namespace
}  // namespace postern
