// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/packet_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Knows no node, so no rule has a name.
class NoCluster final : public Cluster {
 public:
  [[nodiscard]] std::string_view name() const override { return "none"; }
  Result<void> begin(const ClusterSettings&) override { return {}; }
  Result<void> place(const Placement&) override { return {}; }
  Result<void> advance(Duration) override { return {}; }
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest>) override {
    return std::vector<ProbeOutcome>{};
  }
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest>) override {
    return std::vector<PacketOutcome>{};
  }
  [[nodiscard]] VerdictNames names_of(const EndVerdict&) const override { return {}; }
};

EndVerdict end(pn_direction direction, std::uint32_t step) { return {{"x", "a"}, direction, step, "n"}; }

PacketResult check(const PacketExpectation& expect, const PacketOutcome& outcome) {
  PacketLine line;
  line.expect = expect;
  PlannedPacket packet;
  packet.line = &line;
  return check_packet(NoCluster{}, packet, outcome);
}

const std::uint32_t kRule = pn_step_allow(PN_REASON_RULE, 3);
const std::uint32_t kIsolated = pn_step_deny(PN_REASON_ISOLATED, 0);

TEST(PacketCheck, TheReasonIsThatOfTheEndThatDropped) {
  EXPECT_EQ(check({}, {false, end(PN_EGRESS, kIsolated), std::nullopt}).reason, "isolated");
  EXPECT_EQ(check({}, {false, end(PN_EGRESS, kRule), end(PN_INGRESS, kIsolated)}).reason, "isolated");
}

TEST(PacketCheck, OfAnAllowedPacketItIsTheReceiversUnlessTheLineSaysFrom) {
  const PacketOutcome outcome{true, end(PN_EGRESS, kRule), end(PN_INGRESS, 0)};
  PacketExpectation expect;
  EXPECT_EQ(check(expect, outcome).reason, "not-isolated");
  expect.at_from = true;
  EXPECT_EQ(check(expect, outcome).reason, "rule");
}

TEST(PacketCheck, TheOnlyEndThatJudgedSpeaks) {
  EXPECT_EQ(check({}, {true, end(PN_EGRESS, kRule), std::nullopt}).reason, "rule");
  EXPECT_EQ(check({}, {true, std::nullopt, std::nullopt}).reason, "not-isolated");
}

TEST(PacketCheck, ADropMustBeAtTheEndThatIsWritten) {
  const PacketOutcome leaving{false, end(PN_EGRESS, kIsolated), std::nullopt};
  const PacketOutcome arriving{false, end(PN_EGRESS, kRule), end(PN_INGRESS, kIsolated)};
  PacketExpectation expect;
  EXPECT_THAT(check(expect, leaving).mismatches, IsEmpty());
  expect.at_written = true;
  EXPECT_THAT(check(expect, arriving).mismatches, IsEmpty());
  EXPECT_THAT(check(expect, leaving).mismatches, ElementsAre("expected the drop at to, got from"));
  expect.at_from = true;
  EXPECT_THAT(check(expect, leaving).mismatches, IsEmpty());
  EXPECT_THAT(check(expect, arriving).mismatches, ElementsAre("expected the drop at from, got to"));
}

TEST(PacketCheck, OnlyWhatIsWrittenIsCompared) {
  const PacketOutcome denied{false, std::nullopt, end(PN_INGRESS, kIsolated)};
  EXPECT_THAT(check({}, denied).mismatches, IsEmpty());
  PacketExpectation expect;
  expect.verdict = Expectation::deny;
  expect.reason = "isolated";
  EXPECT_THAT(check(expect, denied).mismatches, IsEmpty());
  expect.verdict = Expectation::allow;
  expect.reason = "strict";
  EXPECT_THAT(check(expect, denied).mismatches,
              ElementsAre("expected verdict allow, got deny", "expected reason strict, got isolated"));
}

}  // namespace
}  // namespace postern::sim
