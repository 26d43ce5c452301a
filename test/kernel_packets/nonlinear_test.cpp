// SPDX-License-Identifier: Apache-2.0
// Headers outside a packet's linear part: a packet socket hands the kernel frames of which only the first
// bytes are linear, and the shipped program on the veth has to pull in the rest to see them. (Test runs of the
// kernels at hand make linear packets only.)
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/fd.h"
#include "test/kernel_packets/world.h"

namespace postern::test::nonlinear_test {
namespace {

constexpr std::uint16_t kPayload = 5000;  // a packet socket keeps whole what fits into one page
constexpr int kMtu = 9000;

// struct virtio_net_hdr, whose own header C++ cannot read.
struct VirtioNetHeader {
  std::uint8_t flags = 0, segmentation = 0;
  std::uint16_t header_length = 0;  // as much is linear
  std::uint16_t segment_size = 0, checksum_start = 0, checksum_offset = 0;
};
static_assert(sizeof(VirtioNetHeader) == 10);

struct Collector final : EventSink {
  void on_event(const pn_event& event) override { events.push_back(event); }
  std::vector<pn_event> events;
};

void set_mtu(const std::string& name) {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_mtu = kMtu;
  ASSERT_EQ(ioctl(socket_fd.get(), SIOCSIFMTU, &request), 0) << std::strerror(errno);
}

// Sends from the pod's end of the veth, with `linear` bytes of the frame in the linear part.
void send_from_pod(Pod pod, std::span<const std::byte> frame, std::uint16_t linear) {
  const UniqueFd fd(socket(AF_PACKET, SOCK_RAW, 0));
  ASSERT_TRUE(fd.valid());
  const int on = 1;
  ASSERT_EQ(setsockopt(fd.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0) << std::strerror(errno);
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_ifindex = static_cast<int>(if_nametoindex(("px" + std::to_string(interface_of(pod))).c_str()));
  place.sll_protocol = htons(0x0800);
  VirtioNetHeader header;
  header.header_length = linear;
  std::vector<std::byte> bytes(sizeof header + frame.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, frame.data(), frame.size());
  ASSERT_EQ(sendto(fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&place), sizeof place),
            static_cast<ssize_t>(bytes.size()))
      << std::strerror(errno);
}

struct Row {
  const char* name;
  Shot shot;
  std::uint16_t linear;  // bytes of the frame
  bool allow;
  pn_reason reason;
};

TEST(NonLinearPackets, AreJudgedByHeadersThatLieOutsideTheLinearPart) {
  using enum Extension;
  World world;
  ASSERT_TRUE(world.made());
  const std::uint32_t ifindex = interface_of(Pod::both);
  for (const char* end : {"pn", "px"}) set_mtu(end + std::to_string(ifindex));
  ASSERT_TRUE(world.kernel().attach(ifindex));
  const std::vector<std::uint8_t> options(40, 1);
  const std::vector<Extension> chain{destination, routing, destination};
  const Row rows[] = {
      {"an allowed port, IPv4 header linear", {.out = true, .payload = kPayload}, 34, true, PN_REASON_RULE},
      {"a denied port, IPv4 header linear", {.out = true, .destination_port = 81, .payload = kPayload}, 34, false, PN_REASON_ISOLATED},
      {"an allowed port, Ethernet header linear", {.out = true, .payload = kPayload}, 14, true, PN_REASON_RULE},
      {"a denied port, Ethernet header linear", {.out = true, .destination_port = 81, .payload = kPayload}, 14, false, PN_REASON_ISOLATED},
      {"an allowed port behind options", {.out = true, .options = options, .payload = kPayload}, 34, true, PN_REASON_RULE},
      {"a denied port behind options", {.out = true, .destination_port = 81, .options = options, .payload = kPayload}, 34, false, PN_REASON_ISOLATED},
      {"an allowed port of IPv6", {.v6 = true, .out = true, .payload = kPayload}, 54, true, PN_REASON_RULE},
      {"a denied port of IPv6", {.v6 = true, .out = true, .destination_port = 81, .payload = kPayload}, 54, false, PN_REASON_ISOLATED},
      {"an allowed port behind extension headers", {.v6 = true, .out = true, .extensions = chain, .option_bytes = 100, .payload = kPayload}, 58, true, PN_REASON_RULE},
      {"a denied port behind extension headers", {.v6 = true, .out = true, .destination_port = 81, .extensions = chain, .option_bytes = 100, .payload = kPayload}, 58, false, PN_REASON_ISOLATED},
      {"an allowed port, half of its header linear", {.out = true, .payload = kPayload}, 36, true, PN_REASON_RULE},
      {"a first fragment, its port outside", {.out = true, .fragmented = true, .payload = kPayload}, 34, true, PN_REASON_RULE},
      {"a first fragment to a denied port", {.out = true, .destination_port = 81, .fragmented = true, .payload = kPayload}, 34, false, PN_REASON_ISOLATED},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    world.forget();
    Collector before, after;
    ASSERT_TRUE(world.kernel().drain_events(before));
    send_from_pod(Pod::both, frame_of(row.shot), row.linear);
    ASSERT_TRUE(world.kernel().drain_events(after));
    ASSERT_EQ(after.events.size(), 1u);
    EXPECT_EQ(pn_step_allows(after.events[0].step) != 0, row.allow);
    EXPECT_EQ(pn_step_reason(after.events[0].step), static_cast<std::uint32_t>(row.reason));
  }
}

}  // namespace
}  // namespace postern::test::nonlinear_test
