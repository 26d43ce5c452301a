// SPDX-License-Identifier: Apache-2.0
// The packet suite: each named vector, natively and through the shipped BPF object, with the verdict, reason
// and rule that it names, and the event of the two sides equal byte for byte.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "test/kernel_packets/world.h"

namespace postern::test {
namespace {

std::string text_of(const Judged& judged) {
  return std::string(judged.allow ? "allow" : "deny") + ", reason " + std::to_string(pn_step_reason(judged.step())) +
         ", rule " + std::to_string(pn_step_rule(judged.step()));
}

World& world() {
  static World world;
  return world;
}

// Both sides alike on a packet; what they say.
Judged judge(const Shot& shot) {
  const auto frame = frame_of(shot);
  const Judged native = world().native(shot, frame);
  const auto shipped = world().shipped(shot, frame);
  EXPECT_TRUE(shipped) << "the kernel runs no frame of " << frame.size() << " bytes";
  if (shipped) {
    EXPECT_TRUE(same(native, *shipped)) << "native: " << text_of(native) << "; kernel: " << text_of(*shipped);
  }
  return native;
}

TEST(PacketSuite, EveryVectorIsWhatItsRulingSaysOnBothSides) {
  ASSERT_TRUE(world().made());
  for (const Vector& vector : all_vectors()) {
    SCOPED_TRACE(vector.ruling + ": " + vector.name);
    world().forget();
    for (const Shot& before : vector.shot.before) judge(before);
    const Judged judged = judge(vector.shot);
    EXPECT_EQ(judged.allow, vector.allow) << text_of(judged);
    EXPECT_EQ(pn_step_reason(judged.step()), static_cast<std::uint32_t>(vector.reason)) << text_of(judged);
    EXPECT_EQ(pn_step_rule(judged.step()), vector.rule) << text_of(judged);
  }
}

TEST(PacketSuite, NamesItsVectorsAndEveryDenyHasATwinThatIsAllowed) {
  const auto vectors = all_vectors();
  std::map<std::string, const Vector*> by_name;
  std::set<std::string> rulings;
  for (const Vector& vector : vectors) {
    EXPECT_TRUE(by_name.emplace(vector.name, &vector).second) << "two vectors are named " << vector.name;
    rulings.insert(vector.ruling);
  }
  std::set<std::string> without_family;
  for (const Vector& vector : vectors) {
    without_family.insert(vector.name.substr(0, vector.name.find(" (IPv")));
    if (vector.allow) continue;
    const auto twin = by_name.find(vector.twin);
    ASSERT_NE(twin, by_name.end()) << vector.name;
    EXPECT_TRUE(twin->second->allow) << vector.name;
  }
  EXPECT_GE(without_family.size(), 150u);
  std::printf("%zu vectors of %zu names\n", vectors.size(), without_family.size());
  EXPECT_EQ(rulings, (std::set<std::string>{"R16", "R17", "R18", "R19", "R20", "R21", "R22", "R38"}));
}

// A packet whose every truncation is judged: `headers` bytes behind the Ethernet header are needed.
struct Whole {
  const char* name;
  Shot shot;
  std::size_t headers;
  pn_reason cut = PN_REASON_MALFORMED;  // once the fixed IP header is there
  std::size_t ip = 0;                   // up to here a cut is malformed whatever comes
};

TEST(PacketSuite, EveryTruncationOfEveryHeaderIsDeniedAndTheWholePacketAllowed) {
  ASSERT_TRUE(world().made());
  using enum Extension;
  std::vector<Whole> rows;
  for (const bool v6 : {false, true}) {
    const std::size_t ip = v6 ? 40 : 20;
    rows.push_back({"TCP", {.v6 = v6, .peer = Peer::friend_}, ip + 20});
    rows.push_back({"UDP", {.v6 = v6, .peer = Peer::friend_, .kind = Kind::udp}, ip + 8});
    rows.push_back({"SCTP", {.v6 = v6, .peer = Peer::friend_, .kind = Kind::sctp}, ip + 12});
    rows.push_back({"ICMP", {.v6 = v6, .peer = Peer::friend_, .kind = Kind::icmp}, ip + 8});
    rows.push_back({"a first fragment", {.v6 = v6, .peer = Peer::friend_, .fragmented = true, .payload = 20},
                    ip + (v6 ? 8 : 0) + 20, PN_REASON_FRAGMENT, ip + (v6 ? 8 : 0)});
  }
  rows.push_back({"options", {.peer = Peer::friend_, .options = std::vector<std::uint8_t>(12, 1)}, 20 + 12 + 20});
  rows.push_back({"extension headers",
                  {.v6 = true, .peer = Peer::friend_, .extensions = {hop_by_hop, routing, destination, atomic_fragment}},
                  40 + 4 * 8 + 20});
  std::size_t run = 0;
  for (const Whole& row : rows) {
    // Behind a tag, since the kernel runs no untagged frame whose fixed IP header is cut.
    for (const int tags : {0, 1, 2}) {
      Shot shot = row.shot;
      shot.tags = tags;
      const std::size_t link = 4 * static_cast<std::size_t>(tags);
      const std::size_t fixed = tags == 0 ? (shot.v6 ? 40u : 20u) : 0;
      for (std::size_t length = fixed; length <= link + row.headers; ++length) {
        SCOPED_TRACE(std::string(row.name) + (shot.v6 ? " over IPv6, " : " over IPv4, ") + std::to_string(tags) + " tags, " +
                     std::to_string(length) + " bytes");
        shot.length = static_cast<int>(length);
        world().forget();
        const Judged judged = judge(shot);
        const bool whole = length == link + row.headers;
        EXPECT_EQ(judged.allow, whole) << text_of(judged);
        if (!whole) {
          const pn_reason reason = length < link + row.ip ? PN_REASON_MALFORMED : row.cut;
          EXPECT_EQ(pn_step_reason(judged.step()), static_cast<std::uint32_t>(reason));
        }
        ++run;
      }
    }
  }
  EXPECT_GT(run, 1000u);
}

}  // namespace
}  // namespace postern::test
