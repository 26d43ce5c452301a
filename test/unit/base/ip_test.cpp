// SPDX-License-Identifier: Apache-2.0
// Addresses, blocks and errors: what is read, what is refused, what comes out again.
#include <gtest/gtest.h>

#include "engine/base/ip.h"
#include "engine/base/result.h"

namespace postern {
namespace {

TEST(IpAddressTest, OnlyTheUsualNotationIsRead) {
  struct Row {
    const char* text;
    const char* printed;  // null: refused
  };
  for (const Row& row : {Row{"10.0.0.1", "10.0.0.1"}, Row{"0.0.0.0", "0.0.0.0"},
                         Row{"255.255.255.255", "255.255.255.255"}, Row{"2001:db8::1", "2001:db8::1"},
                         Row{"2001:0DB8:0:0:0:0:0:1", "2001:db8::1"}, Row{"::", "::"},
                         Row{"10.0.0.01", nullptr}, Row{"10.0.0", nullptr}, Row{"10.0.0.256", nullptr},
                         Row{"10.0.0.1 ", nullptr}, Row{"0x0a.0.0.1", nullptr}, Row{"", nullptr},
                         Row{"fe80::1%eth0", nullptr}, Row{"[::1]", nullptr}, Row{"::ffff:10.0.0.1", nullptr},
                         Row{"::1::2", nullptr}, Row{"web", nullptr}}) {
    const auto address = IpAddress::parse(row.text);
    ASSERT_EQ(address.has_value(), row.printed != nullptr) << row.text;
    if (!address) continue;
    EXPECT_EQ(address->to_string(), row.printed);
  }
}

TEST(IpAddressTest, AHostHasNoneOfTheReservedAddresses) {
  for (const char* text : {"10.0.0.1", "169.254.169.254", "0.0.0.1", "223.255.255.255", "240.0.0.1",
                           "255.255.255.254", "fd00::1", "::2", "2001:db8::", "fec0::1", "fe7f::1"}) {
    EXPECT_TRUE(IpAddress::parse(text)->is_of_a_host()) << text;
  }
  for (const char* text : {"0.0.0.0", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255",
                           "255.255.255.255", "::", "::1", "ff02::1", "fe80::1", "febf::1"}) {
    EXPECT_FALSE(IpAddress::parse(text)->is_of_a_host()) << text;
  }
}

TEST(IpAddressTest, ByteOrdersAreWhatTheirNamesSay) {
  const auto address = IpAddress::v4(0x0a000102);
  EXPECT_EQ(address.to_string(), "10.0.1.2");
  EXPECT_EQ(address.v4_host_order(), 0x0a000102u);
  const auto network = address.v4_network_order();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&network);
  EXPECT_EQ(bytes[0], 10);
  EXPECT_EQ(bytes[3], 2);
}

TEST(CidrTest, HostBitsAreMaskedAndPrefixesMustBeThere) {
  struct Row {
    const char* text;
    const char* printed;  // null: refused
    const char* last;
  };
  for (const Row& row :
       {Row{"10.1.2.3/8", "10.0.0.0/8", "10.255.255.255"}, Row{"10.1.2.3/32", "10.1.2.3/32", "10.1.2.3"},
        Row{"0.0.0.0/0", "0.0.0.0/0", "255.255.255.255"}, Row{"10.1.2.3/31", "10.1.2.2/31", "10.1.2.3"},
        Row{"2001:db8::1/33", "2001:db8::/33", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
        Row{"10.0.0.0", nullptr, nullptr}, Row{"10.0.0.0/33", nullptr, nullptr},
        Row{"10.0.0.0/08", nullptr, nullptr}, Row{"10.0.0.0/", nullptr, nullptr},
        Row{"10.0.0.0/-1", nullptr, nullptr}, Row{"10.0.0.0/+8", nullptr, nullptr},
        Row{"2001:db8::/129", nullptr, nullptr}}) {
    const auto block = Cidr::parse(row.text);
    ASSERT_EQ(block.has_value(), row.printed != nullptr) << row.text;
    if (!block) continue;
    EXPECT_EQ(block->to_string(), row.printed);
    EXPECT_EQ(block->last().to_string(), row.last);
  }
}

TEST(CidrTest, ContainsItsEdgesAndNothingOfTheOtherFamily) {
  const auto block = *Cidr::parse("10.1.4.0/22");
  for (const char* inside : {"10.1.4.0", "10.1.7.255"}) EXPECT_TRUE(block.contains(*IpAddress::parse(inside)));
  for (const char* outside : {"10.1.3.255", "10.1.8.0", "a01:400::"}) {
    EXPECT_FALSE(block.contains(*IpAddress::parse(outside))) << outside;
  }
  EXPECT_TRUE(block.contains(*Cidr::parse("10.1.5.0/24")));
  EXPECT_TRUE(block.contains(block));
  EXPECT_FALSE(block.contains(*Cidr::parse("10.1.0.0/16")));
}

TEST(ErrorTest, SaysWhereAsFarAsItIsKnown) {
  EXPECT_EQ((Error{ErrorCode::io, "full", {}}).to_string(), "full");
  EXPECT_EQ((Error{ErrorCode::io, "full", {"a.yaml", 0, 0}}).to_string(), "a.yaml: full");
  EXPECT_EQ((Error{ErrorCode::io, "full", {"a.yaml", 4, 0}}).to_string(), "a.yaml:4: full");
  EXPECT_EQ((Error{ErrorCode::io, "full", {"a.yaml", 4, 9}}).to_string(), "a.yaml:4:9: full");
}

}  // namespace
}  // namespace postern
