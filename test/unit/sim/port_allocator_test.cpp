// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual/port_allocator.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace postern::sim {
namespace {

const IpAddress kA = IpAddress::v4(1);
const IpAddress kB = IpAddress::v4(2);
constexpr std::uint8_t kTcp = 6;

TEST(PortAllocator, NeitherDirectionOfAPairGetsAPortTwice) {
  PortAllocator ports;
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 5000; ++i) {
    EXPECT_TRUE(seen.insert(ports.next(kA, kB, kTcp, 80)).second);
    EXPECT_TRUE(seen.insert(ports.next(kB, kA, kTcp, 81)).second);
  }
}

TEST(PortAllocator, ADestinationPortOfTheRangeIsNeverASourcePort) {
  PortAllocator ports;
  ports.next(kA, kB, kTcp, PortAllocator::kFirst + 1);
  for (int i = 0; i < 10; ++i) EXPECT_NE(ports.next(kB, kA, kTcp, 80), PortAllocator::kFirst + 1);
}

TEST(PortAllocator, OnePairMeetsNoConnectionOfItsOwnInEitherDirection) {
  PortAllocator ports;
  std::set<std::pair<std::uint16_t, std::uint16_t>> connections;  // (port of A, port of B)
  for (std::uint16_t port = PortAllocator::kFirst; port < PortAllocator::kFirst + 2000; ++port) {
    EXPECT_TRUE(connections.emplace(ports.next(kA, kB, kTcp, port), port).second) << port;
    EXPECT_TRUE(connections.emplace(port, ports.next(kB, kA, kTcp, port)).second) << port;
  }
}

TEST(PortAllocator, APortForBothSidesOfANodeIsFreshOnEach) {
  PortAllocator ports;
  const IpAddress service = IpAddress::v4(3);
  std::set<std::uint16_t> near;
  std::set<std::uint16_t> far;
  for (int i = 0; i < 1000; ++i) {
    // A port that is a destination on one side is never a source on the other.
    const auto target = static_cast<std::uint16_t>(PortAllocator::kFirst + i);
    const auto port = ports.next_on_both({kA, service, 80}, {kA, kB, target}, kTcp);
    EXPECT_TRUE(near.insert(port).second && far.insert(port).second) << port;
    EXPECT_TRUE(far.insert(ports.next(kA, kB, kTcp, 80)).second);
  }
}

TEST(PortAllocator, ClearStartsAnew) {
  PortAllocator ports;
  const auto first = ports.next(kA, kB, kTcp, 80);
  ports.clear();
  EXPECT_EQ(ports.next(kA, kB, kTcp, 80), first);
}

}  // namespace
}  // namespace postern::sim
