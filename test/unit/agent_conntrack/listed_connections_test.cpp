// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/listed_connections.h"

#include <gtest/gtest.h>

#include <utility>

namespace postern::agent {
namespace {

constexpr pn_tuple tuple(std::uint32_t source, std::uint16_t source_port, std::uint32_t destination,
                         std::uint16_t destination_port, std::uint32_t protocol = PN_IP_TCP) {
  return {{0, PN_V4_PREFIX | source}, {0, PN_V4_PREFIX | destination}, source_port, destination_port, protocol};
}

pn_ct_key key_of(const pn_tuple& tuple, std::uint32_t endpoint) {
  pn_ct_key key{tuple.source, tuple.destination, tuple.source_port, tuple.destination_port,
                endpoint << 8 | tuple.protocol};
  if (pn_address_before(key.address_b, key.address_a)) {
    std::swap(key.address_a, key.address_b);
    std::swap(key.port_a, key.port_b);
  }
  return key;
}

TEST(ListedConnections, AConnectionIsFoundFromBothEndsAndForEveryEndpoint) {
  ListedConnections listed;
  listed.add(tuple(1, 10, 2, 20));
  const struct {
    const char* name;
    pn_tuple asked;
    bool found;
  } rows[] = {
      {"as it was added", tuple(1, 10, 2, 20), true},
      {"the other way", tuple(2, 20, 1, 10), true},
      {"ports the other way round", tuple(1, 20, 2, 10), false},
      {"another source port", tuple(1, 11, 2, 20), false},
      {"another destination", tuple(1, 10, 3, 20), false},
      {"another protocol", tuple(1, 10, 2, 20, PN_IP_UDP), false},
      {"the same numbers in IPv6", {{0, 1}, {0, 2}, 10, 20, PN_IP_TCP}, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(listed.contains(key_of(row.asked, 7)), row.found);
    EXPECT_EQ(listed.contains(key_of(row.asked, 70000)), row.found);
  }
}

TEST(ListedConnections, WhatIsAddedAfterAQuestionIsFoundToo) {
  ListedConnections listed;
  for (std::uint16_t port = 1; port < 20000; ++port) {
    listed.add(tuple(1, port, 2, 443));
    ASSERT_TRUE(listed.contains(key_of(tuple(1, port, 2, 443), 7)));
    ASSERT_FALSE(listed.contains(key_of(tuple(1, static_cast<std::uint16_t>(port + 20000), 2, 443), 7)));
  }
  EXPECT_EQ(listed.size(), 19999u);
}

TEST(ListedConnections, WhatIsSortedStepByStepIsFound) {
  ListedConnections listed;
  for (std::uint16_t port = 1; port < 20000; ++port) listed.add(tuple(1, port, 2, 443));
  while (!listed.sort_some()) {
  }
  for (std::uint16_t port = 1; port < 20000; ++port) {
    ASSERT_TRUE(listed.contains(key_of(tuple(1, port, 2, 443), 7)));
    ASSERT_FALSE(listed.contains(key_of(tuple(2, port, 2, 443), 7)));
  }
  while (!listed.clear_some()) {
  }
  for (std::uint16_t port = 1; port < 20000; ++port) ASSERT_FALSE(listed.contains(key_of(tuple(1, port, 2, 443), 7)));
}

}  // namespace
}  // namespace postern::agent
