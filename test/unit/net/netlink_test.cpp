// SPDX-License-Identifier: Apache-2.0
// Reading attributes: what is absent, short, long or cut off is absent, and nothing behind the message is
// ever read. The socket's half is held by the kernel tests.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/netlink.h"
#include "net/system_error.h"

namespace postern {
namespace {

const Mac kMac{2, 0, 0, 0, 0, 7};

// A link message with one attribute of each sort.
void fill(NetlinkRequest& request) {
  request.fixed<ifinfomsg>().ifi_index = 7;
  request.put(IFLA_IFNAME, "veth7");
  request.put(IFLA_MASTER, std::uint32_t{3});
  request.put(IFLA_ADDRESS, kMac);
}

TEST(NetlinkAttributesTest, what_was_put_in_is_read_back) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  fill(request);
  const NetlinkAttributes attributes(*request.header(), sizeof(ifinfomsg));
  EXPECT_EQ(attributes.text(IFLA_IFNAME), "veth7");
  EXPECT_EQ(attributes.number(IFLA_MASTER), 3u);
  EXPECT_EQ(attributes.mac(IFLA_ADDRESS), kMac);
  EXPECT_EQ(attributes.find(IFLA_LINKINFO), nullptr);
  ASSERT_NE(netlink_fixed<ifinfomsg>(*request.header()), nullptr);
  EXPECT_EQ(netlink_fixed<ifinfomsg>(*request.header())->ifi_index, 7);
}

TEST(NetlinkAttributesTest, an_address_is_read_in_its_own_family_only) {
  for (const char* const text : {"10.1.2.3", "2001:db8::5", "0.0.0.0", "255.255.255.255"}) {
    SCOPED_TRACE(text);
    const IpAddress address = *IpAddress::parse(text);
    NetlinkRequest request(RTM_NEWADDR, 0);
    request.fixed<ifaddrmsg>();
    request.put(IFA_ADDRESS, address);
    const NetlinkAttributes attributes(*request.header(), sizeof(ifaddrmsg));
    EXPECT_EQ(attributes.address(IFA_ADDRESS, netlink_family(address)), address);
    EXPECT_EQ(attributes.address(IFA_ADDRESS, address.is_v4() ? AF_INET6 : AF_INET), std::nullopt);
    EXPECT_EQ(attributes.address(IFA_ADDRESS, AF_BRIDGE), std::nullopt);
  }
}

TEST(NetlinkAttributesTest, an_attribute_of_another_length_is_absent) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  fill(request);
  const NetlinkAttributes attributes(*request.header(), sizeof(ifinfomsg));
  EXPECT_EQ(attributes.number(IFLA_ADDRESS), std::nullopt);
  EXPECT_EQ(attributes.mac(IFLA_MASTER), std::nullopt);
  EXPECT_EQ(attributes.byte(IFLA_MASTER), std::nullopt);
}

// The message is copied into a buffer of its exact size, so that a sanitizer sees any read behind it.
TEST(NetlinkAttributesTest, at_any_cut_each_attribute_is_whole_or_absent) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  fill(request);
  const std::size_t whole = request.header()->nlmsg_len;
  for (std::size_t cut = sizeof(nlmsghdr) + sizeof(ifinfomsg); cut < whole; ++cut) {
    const std::unique_ptr<char[]> bytes(new char[cut]);
    std::memcpy(bytes.get(), request.header(), cut);
    auto* const message = reinterpret_cast<nlmsghdr*>(bytes.get());
    message->nlmsg_len = static_cast<std::uint32_t>(cut);
    const NetlinkAttributes attributes(*message, sizeof(ifinfomsg));
    EXPECT_TRUE(!attributes.text(IFLA_IFNAME) || attributes.text(IFLA_IFNAME) == "veth7") << cut;
    EXPECT_TRUE(!attributes.number(IFLA_MASTER) || attributes.number(IFLA_MASTER) == 3u) << cut;
    EXPECT_TRUE(!attributes.mac(IFLA_ADDRESS) || attributes.mac(IFLA_ADDRESS) == kMac) << cut;
  }
}

TEST(NetlinkAttributesTest, a_message_without_its_fixed_part_has_none) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  EXPECT_EQ(netlink_fixed<ifinfomsg>(*request.header()), nullptr);
  EXPECT_EQ(NetlinkAttributes(*request.header(), sizeof(ifinfomsg)).find(IFLA_IFNAME), nullptr);
}

TEST(SystemErrorTest, missing_rights_have_a_code_of_their_own) {
  EXPECT_EQ(system_error("x", EPERM).code, ErrorCode::permission);
  EXPECT_EQ(system_error("x", EACCES).code, ErrorCode::permission);
  EXPECT_EQ(system_error("x", ENOENT).code, ErrorCode::io);
  EXPECT_EQ(system_error("cannot open x", ENOENT).message, "cannot open x: No such file or directory");
}

TEST(NetlinkSocketTest, what_the_kernel_refuses_comes_back_as_its_number_and_as_an_error_of_a_change) {
  auto socket = NetlinkSocket::open();
  ASSERT_TRUE(socket) << socket.error().message;
  NetlinkRequest question(RTM_GETLINK, 0);
  question.fixed<ifinfomsg>().ifi_index = 2'000'000'000;
  const auto answer = socket->exchange(question);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, ENODEV);

  NetlinkRequest change(RTM_DELADDR, NLM_F_ACK);  // of no interface
  change.fixed<ifaddrmsg>().ifa_family = AF_INET;
  change.put(IFA_LOCAL, *IpAddress::parse("203.0.113.77"));
  const auto refused = socket->change(change, "cannot delete it");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.rfind("cannot delete it: ", 0), 0u) << refused.error().message;
}

TEST(NetlinkSocketTest, a_socket_that_follows_nothing_has_nothing) {
  auto socket = NetlinkSocket::open();
  ASSERT_TRUE(socket) << socket.error().message;
  const auto received = socket->receive([](const nlmsghdr&) { FAIL() << "nobody announced anything"; });
  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(*received, NetlinkSocket::Received::nothing);
}

}  // namespace
}  // namespace postern
