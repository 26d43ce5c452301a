// SPDX-License-Identifier: Apache-2.0
// A packet that is under way while a policy changes (R14). Every hole of the datapath (env.h) is a place
// where the update may go on: here the writes of the compiler's delta are made at each of them, in every
// two portions, and afterwards the connection must be as the new policy has it.
//
// The packet itself may be judged by the old policy or by the new one. A delta's pauses hold: what comes
// after one is written when the packet has gone.
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/compile/table_compiler.h"
#include "engine/datapath/env.h"
#include "test/contract/frames.h"

namespace {

// Makes the writes that are due before the packet reads on; all of them into arrays.
struct Writer {
  postern::PolicyTables* tables = nullptr;
  std::span<const postern::TableWrite> writes;
  std::size_t made = 0;
  std::vector<postern::TableWrite> undone{};  // what stood there before, the last first
  std::size_t hole = 0;  // holes so far
  struct Portion {
    std::size_t hole = 0;   // in front of which
    std::size_t until = 0;  // so many writes are made
  };
  std::vector<Portion> portions;

  void make(std::size_t until) {
    for (; made < until; ++made) {
      postern::TableWrite before = writes[made];
      const auto bytes = tables->array(before.table);
      const std::size_t size = postern::shape_of(before.table, tables->sizes()).value_size;
      const std::size_t at = std::size_t{before.index} * size + before.offset;
      before.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                          bytes.begin() + static_cast<std::ptrdiff_t>(at + before.bytes.size()));
      undone.insert(undone.begin(), std::move(before));
      EXPECT_TRUE(tables->apply(writes[made]));
    }
  }
  void undo() {
    for (const auto& write : undone) EXPECT_TRUE(tables->apply(write));
  }
  void at_hole() {
    for (const auto& portion : portions) {
      if (portion.hole == hole) make(portion.until);
    }
    ++hole;
  }
};

}  // namespace

struct pn_env {
  postern::PolicyTables* tables = nullptr;
  std::vector<pn_ct_bucket>* buckets = nullptr;
  Writer* writer = nullptr;
  std::uint64_t now_ns = 0;

  template <typename T>
  const T* at(postern::TableId table, std::size_t index) {
    writer->at_hole();
    const auto bytes = tables->array(table);
    return index < bytes.size() / sizeof(T) ? reinterpret_cast<const T*>(bytes.data()) + index : nullptr;
  }
};

using postern::TableId;

static inline const pn_node* pn_env_node(pn_env* env) { return env->at<pn_node>(TableId::node, 0); }
static inline const pn_u64* pn_env_slot(pn_env* env, pn_u32 index) {
  return env->at<pn_u64>(TableId::slots, index);
}
static inline const pn_u64* pn_env_slot_far(pn_env*, pn_u32) { return nullptr; }
static inline const pn_pod* pn_env_pod(pn_env* env, pn_u32 record) {
  return env->at<pn_pod>(TableId::pods, record);
}
static inline const pn_hosts_bucket* pn_env_hosts(pn_env* env, pn_u32 bucket) {
  return env->at<pn_hosts_bucket>(TableId::hosts, bucket);
}
static inline const pn_u32* pn_env_hosts_far(pn_env*, const pn_address*) { return nullptr; }
static inline const pn_u64* pn_env_idx(pn_env* env, pn_u32 index) {
  return env->at<pn_u64>(TableId::idx, index);
}
static inline const pn_segment* pn_env_seg(pn_env* env, pn_u32 index) {
  return env->at<pn_segment>(TableId::seg, index);
}
static inline const pn_row_chunk* pn_env_row(pn_env* env, pn_u32 chunk) {
  return env->at<pn_row_chunk>(TableId::rows, chunk);
}
static inline const pn_body* pn_env_body(pn_env* env, pn_u32 index) {
  return env->at<pn_body>(TableId::bodies, index);
}
static inline const pn_port_steps* pn_env_portdir(pn_env* env, pn_u32 index) {
  return env->at<pn_port_steps>(TableId::portdirs, index);
}
static inline const pn_port_steps* pn_env_portpage(pn_env* env, pn_u32 index) {
  return env->at<pn_port_steps>(TableId::portpages, index);
}
static inline pn_ct_bucket* pn_env_ct(pn_env* env, pn_u32 bucket) {
  env->writer->at_hole();
  return &(*env->buckets)[bucket];
}
static inline void pn_env_lock(pn_ct_bucket*) {}
static inline void pn_env_unlock(pn_ct_bucket*) {}
static inline int pn_env_more(pn_env*, pn_frame*) { return 0; }
static inline pn_u32 pn_env_tick(pn_env* env, const pn_node* node) {
  env->writer->at_hole();
  return static_cast<pn_u32>(env->now_ns >> node->tick_shift);
}
static inline pn_u64 pn_env_time_ns(pn_env* env) { return env->now_ns; }
static inline void pn_env_count(pn_env*, pn_u32, pn_u32) {}
static inline void pn_env_emit(pn_env*, const pn_event*) {}

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
    pn_env env{&tables_, &buckets_, &writer, 1'000'000'000};
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
    writer.undo();
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
