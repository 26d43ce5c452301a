// SPDX-License-Identifier: Apache-2.0
// The packets of connections, one by one, against the oracle's second part, which walks the whole history.
#include <iostream>

#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"
#include "test/property_oracle/story.h"

namespace postern::property {
namespace {

// Waits for connections to be seeded from the node's own conntrack (R40): then `remembers`, and the node of
// these histories has to remember.
constexpr auto kNode = oracle::NodeMemory::none;

// What happened to packets, by what the oracle expected of them.
struct Tally {
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
  std::map<std::string, std::uint64_t> open;
  std::map<oracle::Reason, std::uint64_t> reasons;

  [[nodiscard]] std::uint64_t all_open() const {
    std::uint64_t sum = 0;
    for (const auto& [why, count] : open) sum += count;
    return sum;
  }
  void print() const {
    std::cout << allowed << " packets allowed, " << denied << " denied\n  left open:";
    for (const auto& [why, count] : open) std::cout << " [" << why << "] " << count;
    std::cout << "\n  reasons:";
    for (const auto& [reason, count] : reasons) std::cout << " " << oracle::to_string(reason) << " " << count;
    std::cout << "\n";
  }
};

std::string wrong_at(const oracle::Judgement& expected, const Classified& got, Tally& tally) {
  const auto reason = reason_of(got);
  if (!reason) return "the tables say " + to_string(got);
  if (expected.may_allow && expected.may_deny) {
    tally.open[expected.why_open] += 1;
  } else {
    (got.allow ? tally.allowed : tally.denied) += 1;
    tally.reasons[*reason] += 1;
  }
  const auto& reasons = got.allow ? expected.allow_reasons : expected.deny_reasons;
  if (reasons.contains(*reason)) return {};
  std::string text = "the tables say " + to_string(got) + ", the oracle";
  if (expected.may_allow) text += " allow";
  for (const auto one : expected.allow_reasons) text += " " + oracle::to_string(one);
  if (expected.may_deny) text += " deny";
  for (const auto one : expected.deny_reasons) text += " " + oracle::to_string(one);
  return text;
}

std::string wrong_packet(const History& history, Tally& tally) {
  Ground ground(history.keep ? EstablishedFlows::keep : EstablishedFlows::reevaluate);
  oracle::Interface interface(
      kHistoryPod, history.keep ? oracle::Established::keep : oracle::Established::reevaluate, {}, kNode);
  Instant now{std::int64_t{1000} << 30};
  const World* world = nullptr;
  for (std::size_t i = 0; i < history.moments.size(); ++i) {
    const Moment& moment = history.moments[i];
    now = now + moment.wait + milliseconds(3);
    if (moment.world) {
      world = &*moment.world;
      if (const auto refused = ground.follow(*world)) return *refused;
      interface.changed(world->cluster(), now);
    }
    if (!moment.packet) continue;
    const auto expected = interface.packet(world->cluster(), *moment.packet, now);
    const auto got = ground.send(kHistoryPod, *moment.packet, now);
    const std::string wrong = wrong_at(expected, got, tally);
    if (!wrong.empty()) return "moment " + std::to_string(i) + ": " + wrong;
    interface.saw(got.allow, *reason_of(got));
  }
  return {};
}

TEST(Histories, EveryPacketPassesOrNotAsTheRulingsSay) {
  Tally tally;
  check(12000, any_history(40), [&](const History& history, bool) { return wrong_packet(history, tally); });
  tally.print();
  if (HasFatalFailure()) return;
  const std::uint64_t all = tally.allowed + tally.denied + tally.all_open();
  EXPECT_LT(tally.all_open() * 30, all) << "too much is left open to prove anything";
  EXPECT_GT(tally.denied * 10, all * 2);
  EXPECT_GT(tally.reasons[oracle::Reason::established] * 100, all * 5);
  EXPECT_GT(tally.reasons[oracle::Reason::related], 20 * std::min(1.0, scale()));
}

TEST(Traces, SessionsPassOrNotAsTheRulingsSay) {
  Tally tally;
  check(5000, any_trace(50), [&](const History& history, bool) { return wrong_packet(history, tally); });
  tally.print();
  if (HasFatalFailure()) return;
  const std::uint64_t all = tally.allowed + tally.denied + tally.all_open();
  EXPECT_LT(tally.all_open() * 25, all) << "too much is left open to prove anything";
  EXPECT_GT(tally.denied * 10, all * 2);
  EXPECT_GT(tally.reasons[oracle::Reason::established] * 100, all * 15);
}

}  // namespace
}  // namespace postern::property
