// SPDX-License-Identifier: Apache-2.0
// Policies that change at random, through the compiler and its deltas, into the kernel: after every
// change the kernel holds the compiler's bytes, and a first packet gets from it, from the native
// datapath and from the policy's own meaning (judge) one answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "sim/packet/packet.h"
#include "test/kernel/backend_pair.h"
#include "test/property/random_policies.h"

namespace postern::test::compiled_policy_test {
namespace {

constexpr int kWorlds = 10;
constexpr int kChanges = 25;
constexpr int kQuestions = 80;

TableSizes sizes() {
  TableSizes sizes;
  const auto set = [&](TableId table, std::uint32_t entries) {
    sizes.entries[static_cast<std::size_t>(table)] = entries;
  };
  set(TableId::pods, 64);
  set(TableId::hosts, 16);
  set(TableId::seg, 1024);
  set(TableId::rows, 256);
  set(TableId::bodies, 256);
  set(TableId::portdirs, 64);
  set(TableId::portpages, 128);
  sizes.conntrack_buckets = 1024;
  return sizes;
}

// Not inlined: gcc 12 sees uninitialised members in the layers that a variant does not hold.
[[gnu::noinline]] void add(packet::Packet& packet, const packet::Layer& layer) { packet.append(layer); }

// A first packet of what the question asks; `tag` makes its flow a new one.
Injected first_packet(const Question& question, const IpAddress& pod, std::uint16_t tag) {
  const bool ingress = question.direction == PN_INGRESS;
  const IpAddress& source = ingress ? question.peer : pod;
  const IpAddress& destination = ingress ? pod : question.peer;
  packet::Packet packet(packet::Ethernet{});
  if (pod.is_v4()) {
    add(packet, packet::Ipv4{.source = source, .destination = destination, .protocol = question.protocol});
  } else {
    const std::uint8_t next = question.protocol == 1 ? std::uint8_t{58} : question.protocol;
    add(packet, packet::Ipv6{.source = source, .destination = destination, .next_header = next});
  }
  switch (question.protocol) {
    case 6: add(packet, packet::Tcp{.source_port = tag, .destination_port = question.port}); break;
    case 17: add(packet, packet::Udp{.source_port = tag, .destination_port = question.port}); break;
    case 132: add(packet, packet::Sctp{.source_port = tag, .destination_port = question.port}); break;
    case 1:
      if (pod.is_v4()) {
        add(packet, packet::Icmp{.id = tag});
      } else {
        add(packet, packet::Icmpv6{.id = tag});
      }
      break;
    default: add(packet, packet::Raw{std::vector<std::uint8_t>(20, 0)}); break;
  }
  const auto bytes = packet.bytes();
  Injected result{question.ifindex, static_cast<std::uint8_t>(question.direction), {}};
  result.frame.resize(bytes.size());
  std::memcpy(result.frame.data(), bytes.data(), bytes.size());
  return result;
}

const EndpointPolicy* endpoint_of(const ResolvedPolicy& policy, std::uint32_t ifindex) {
  for (const EndpointPolicy& endpoint : policy.endpoints) {
    if (endpoint.ifindex == ifindex) return &endpoint;
  }
  return nullptr;
}

// The pod's address of the peer's family; null: it has none.
const IpAddress* address_like(const EndpointPolicy& pod, const IpAddress& peer) {
  for (const IpAddress& address : pod.addresses) {
    if (address.family() == peer.family()) return &address;
  }
  return nullptr;
}

// judge()'s step in the datapath's words: where no rule allows a protocol without ports, that is the
// reason (R18); ICMP is isolated like anything else.
std::uint32_t in_words_of_datapath(std::uint32_t step, std::uint8_t protocol) {
  const bool portless = protocol != 1 && protocol != 6 && protocol != 17 && protocol != 132;
  if (!portless) return step;
  const std::uint32_t isolated = pn_step_deny(PN_REASON_ISOLATED, 0);
  const std::uint32_t said = pn_step_deny(PN_REASON_PROTOCOL, 0);
  if (step == pn_step_would_deny(isolated)) return pn_step_would_deny(said);
  return step == isolated ? said : step;
}

TEST(CompiledPolicies, MeanInTheKernelWhatTheySay) {
  const std::uint64_t base = first_seed();
  BackendPair pair(sizes());
  ASSERT_TRUE(pair.made());
  Instant now{seconds(1'000'000).ns};
  std::uint16_t tag = 0;
  std::size_t asked = 0, denied = 0, updates = 0;
  for (std::uint64_t seed = base; seed < base + kWorlds; ++seed) {
    SCOPED_TRACE("repeat with POSTERN_TEST_SEED=" + std::to_string(seed));
    RandomPolicies world(seed);
    Prng random(seed);
    TableCompiler compiler(sizes());
    pair.reset();
    for (int change = 0; change < kChanges; ++change) {
      world.change();
      const ResolvedPolicy policy = world.policy();
      const auto delta = compiler.update(policy, world.settings());
      if (!delta) {  // a table was full: nothing changed
        ASSERT_EQ(delta.error().code, ErrorCode::table_full) << delta.error().message;
        continue;
      }
      ++updates;
      pair.apply(*delta);
      pair.compare_tables(compiler.tables());
      const std::vector<Question> questions = world.questions();
      for (int n = 0; n < kQuestions && !questions.empty(); ++n) {
        const Question& question = questions[random.below(questions.size())];
        const EndpointPolicy* pod = endpoint_of(policy, question.ifindex);
        const IpAddress* own = pod == nullptr ? nullptr : address_like(*pod, question.peer);
        if (own == nullptr || question.peer == *own) continue;
        pair.attach(question.ifindex);
        const auto both = pair.classify(first_packet(question, *own, ++tag), now);
        ASSERT_TRUE(both) << to_string(question);
        const std::uint32_t expected = judged(policy, question);
        ASSERT_EQ(both->allow, expected == kNotJudged || pn_step_allows(expected)) << to_string(question);
        if (expected != kNotJudged) {
          ASSERT_EQ(step_text(both->step), step_text(in_words_of_datapath(expected, question.protocol)))
              << to_string(question);
        }
        ++asked;
        denied += both->allow ? 0u : 1u;
        now = now + milliseconds(static_cast<std::int64_t>(random.below(3000)));
      }
      pair.compare_state();
      ASSERT_FALSE(HasFailure()) << "after change " << change;
    }
  }
  EXPECT_GT(updates, kWorlds * kChanges / 2u) << "base seed " << base;
  EXPECT_GT(asked, updates * kQuestions / 2u) << "base seed " << base;
  EXPECT_TRUE(denied > asked / 20 && denied < asked - asked / 20)
      << denied << " of " << asked << ", base seed " << base;
}

}  // namespace
}  // namespace postern::test::compiled_policy_test
