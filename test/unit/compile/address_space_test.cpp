// SPDX-License-Identifier: Apache-2.0
// Both families in one address space: neither ever answers for the other (R36), at any edge.
#include "engine/compile/address_space.h"

#include <gtest/gtest.h>

#include "test/unit/compile/small_policy.h"

namespace postern::address_space_test {
namespace {

using namespace compile_test;

constexpr std::uint32_t kAllowed = PN_STEP_ALLOW | PN_REASON_RULE << PN_STEP_REASON_SHIFT | 1;
constexpr std::uint32_t kDenied = PN_REASON_ISOLATED << PN_STEP_REASON_SHIFT;

TEST(AddressSpace, NumbersAreThoseOfTheLayout) {
  EXPECT_TRUE(number_of(ip("10.0.0.9")) == from_abi(pn_address_v4(0x0a000009)));
  const AddressNumber number = number_of(ip("2001:db8::1:2"));
  EXPECT_EQ(to_abi(number).high, 0x20010db800000000u);
  EXPECT_EQ(to_abi(number).low, 0x10002u);
  EXPECT_TRUE(from_abi(to_abi(number)) == number);
}

// One pod on interface 7, isolated for ingress, whose rule 1 names `terms`.
ResolvedPolicy admitting(std::vector<Term> terms) {
  ResolvedPolicy policy;
  policy.endpoints = {endpoint(1, 7)};
  policy.endpoints[0].directions[0].isolated = true;
  std::vector<TermIndex> peers(terms.size());
  for (std::size_t i = 0; i < terms.size(); ++i) peers[i] = static_cast<TermIndex>(i);
  policy.endpoints[0].directions[0].rules = {rule(1, peers, {tcp(80)})};
  policy.terms = std::move(terms);
  return policy;
}

struct Row {
  const char* name;
  Term term;
  std::vector<std::string> allowed;
  std::vector<std::string> denied;
};

TEST(AddressSpace, ATermAdmitsItsOwnFamilyAlone) {
  const std::vector<Row> rows{
      {"every IPv6 address",
       block("b", "::/0"),
       {"::", "::1", "::fffe:ffff:ffff", "::1:0:0:0", "1::", "fd00::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       {"0.0.0.0", "10.0.0.1", "255.255.255.255"}},
      {"every IPv4 address",
       block("b", "0.0.0.0/0"),
       {"0.0.0.0", "10.0.0.1", "255.255.255.255"},
       {"::", "::fffe:ffff:ffff", "::1:0:0:0", "fd00::1"}},
      {"every IPv6 address but the first and the last page",
       block("b", "::/0", {"::/16", "ffff::/16"}),
       {"1::", "fd00::1", "fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       {"::1", "::1:0:0:0", "10.0.0.1", "ffff::"}},
      {"excepts that overlap, nest and reach the end",
       block("b", "::/0", {"8000::/1", "fd00::/8", "4000::/2", "4000::1/128"}),
       {"::", "3fff:ffff::"},
       {"4000::", "7fff::", "8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4"}},
      {"a block that holds the numbers of IPv4",
       block("b", "::/80"),
       {"::", "::fffe:ffff:ffff"},
       {"0.0.0.0", "255.255.255.255", "::1:0:0:0"}},
      {"the block that ends where they do",
       block("b", "::fffe:0:0/95"),
       {"::fffe:0:0", "::fffe:ffff:ffff"},
       {"0.0.0.0", "1.2.3.4", "255.255.255.255", "::1:0:0:0"}},
      {"the last address",
       block("b", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
       {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "255.255.255.255", "::"}},
      {"an except of the other family cuts nothing",
       block("b", "10.0.0.0/8", {"::/0"}),
       {"10.0.0.1"},
       {"fd00::1"}},
      {"the two addresses of a pod",
       pods("p", {"10.0.0.5", "fd00::5"}),
       {"10.0.0.5", "fd00::5"},
       {"10.0.0.6", "fd00::6", "a00:5::"}},
      {"a block of 64 bits",
       block("b", "2001:db8:0:7::/64", {"2001:db8:0:7::a0/124"}),
       {"2001:db8:0:7::9f", "2001:db8:0:7::b0", "2001:db8:0:7:ffff:ffff:ffff:ffff"},
       {"2001:db8:0:7::a0", "2001:db8:0:7::af", "2001:db8:0:8::", "2001:db8:0:6:ffff:ffff:ffff:ffff"}},
  };
  for (const auto& row : rows) {
    TableCompiler compiler{TableSizes{}};
    ASSERT_TRUE(compiler.update(admitting({row.term}), {})) << row.name;
    for (const auto& peer : row.allowed) {
      EXPECT_EQ(verdict(compiler.tables(), 7, peer, 80), kAllowed) << row.name << ": " << peer;
    }
    for (const auto& peer : row.denied) {
      EXPECT_EQ(verdict(compiler.tables(), 7, peer, 80), kDenied) << row.name << ": " << peer;
    }
  }
}

TEST(AddressSpace, EveryIpv6AddressIsOneWordAPage) {
  TableCompiler compiler{TableSizes{}};
  const auto delta = compiler.update(admitting({block("b", "::/0")}), {});
  ASSERT_TRUE(delta);
  // The numbers of IPv4 lie in the first page and cut it into nothing.
  for (const auto& write : delta->writes) EXPECT_NE(write.table, TableId::seg);
}

TEST(AddressSpace, TheRecordHoldsBothAddressesInHostOrder) {
  ResolvedPolicy policy = admitting({});
  policy.endpoints[0].addresses = {ip("10.0.0.9"), ip("fd00::9")};
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  const pn_pod record = record_of(compiler.tables(), 7);
  EXPECT_EQ(record.v4, 0x0a000009u);
  EXPECT_EQ(record.v6.high, 0xfd00000000000000u);
  EXPECT_EQ(record.v6.low, 9u);
}

// A run of segments whose borders stay keeps its place: the words of its classes alone are written.
TEST(AddressSpace, ARunWhoseBordersStayIsChangedByItsClassWords) {
  ResolvedPolicy policy = admitting({block("a", "fd00:0:1::/48"), block("b", "fd00:0:3::/48")});
  policy.endpoints[0].directions[0].rules = {rule(1, {0}, {tcp(80)}), rule(2, {1}, {tcp(81)}),
                                             rule(3, {0}, {tcp(82)})};
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  // The blocks change their parts.
  std::swap(policy.terms[0].block, policy.terms[1].block);
  const auto delta = compiler.update(policy, {});
  ASSERT_TRUE(delta);
  std::size_t words = 0;
  for (const auto& write : delta->writes) {
    EXPECT_NE(write.table, TableId::idx);
    if (write.table != TableId::seg) continue;
    EXPECT_EQ(write.offset, offsetof(pn_segment, class_id));
    EXPECT_EQ(write.bytes.size(), sizeof(pn_u32));
    ++words;
  }
  EXPECT_GE(words, 2u);
  EXPECT_EQ(verdict(compiler.tables(), 7, "fd00:0:1::1", 81), kAllowed + 1);
  EXPECT_EQ(verdict(compiler.tables(), 7, "fd00:0:3::1", 80), kAllowed);
}

TEST(AddressSpace, ARunThatNoPacketCouldSearchIsRefused) {
  // Every other /48 of a page is cut out: more segments than so many halvings can find their way in.
  Term term = block("b", "fd00::/16");
  for (std::uint32_t i = 0; i < PN_SEG_RUN_MAX / 2 + 1; ++i) {
    const std::uint32_t middle = 2 * i + 1;
    std::array<std::uint8_t, 16> bytes{0xfd, 0};
    for (std::size_t byte = 0; byte < 4; ++byte) {
      bytes[2 + byte] = static_cast<std::uint8_t>(middle >> (24 - 8 * byte));
    }
    term.block.excepts.emplace_back(IpAddress::v6(bytes), 48);
  }
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::seg)] = 4u << 20;
  TableCompiler compiler(sizes);
  const auto refused = compiler.update(admitting({term}), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::table_full);
  EXPECT_EQ(refused.error().message,
            "a page of table idx has room for a run of 1048576 segments, 1048579 are needed");
}

// Two addresses in one bucket are told apart by their addresses, not by their tags.
TEST(AddressSpace, AFreedWayIsTakenByAnotherFamily) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::hosts)] = 1;
  TableCompiler compiler(sizes);
  ASSERT_TRUE(compiler.update(admitting({pods("p", {"10.0.0.5"})}), {}));
  ASSERT_TRUE(compiler.update(admitting({pods("p", {})}), {}));
  EXPECT_EQ(verdict(compiler.tables(), 7, "10.0.0.5", 80), kDenied);
  ASSERT_TRUE(compiler.update(admitting({pods("p", {"fd00::5"})}), {}));
  EXPECT_EQ(verdict(compiler.tables(), 7, "fd00::5", 80), kAllowed);
  EXPECT_EQ(verdict(compiler.tables(), 7, "10.0.0.5", 80), kDenied);
}

}  // namespace
}  // namespace postern::address_space_test
