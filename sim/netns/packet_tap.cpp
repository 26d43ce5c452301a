// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/packet_tap.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>

#include "net/system_error.h"
#include "sim/netns/sockets.h"

namespace postern::sim {
namespace {

std::uint8_t byte_at(const std::vector<std::byte>& frame, std::size_t at) {
  return at < frame.size() ? std::to_integer<std::uint8_t>(frame[at]) : std::uint8_t{0};
}

constexpr std::size_t kIpHeader = 14;
constexpr std::size_t kIpv6Header = 40;

// Of an IP frame; else the unspecified address, which is nobody's.
IpAddress source_of(const std::vector<std::byte>& frame) {
  const int type = byte_at(frame, 12) << 8 | byte_at(frame, 13);
  if (type == ETH_P_IPV6) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(frame, kIpHeader + 8 + i);
    return IpAddress::v6(bytes);
  }
  if (type != ETH_P_IP) return {};
  std::uint32_t address = 0;
  for (std::size_t i = 0; i < 4; ++i) address = address << 8 | byte_at(frame, kIpHeader + 12 + i);
  return IpAddress::v4(address);
}

// What the link itself says at times of its own: neighbour discovery and multicast listener messages,
// the latter behind one hop-by-hop header of eight bytes.
bool belongs_to_the_link(const std::vector<std::byte>& frame) {
  if ((byte_at(frame, 12) << 8 | byte_at(frame, 13)) != ETH_P_IPV6) return false;
  std::size_t at = kIpHeader + kIpv6Header;
  std::uint8_t protocol = byte_at(frame, kIpHeader + 6);
  if (protocol == IPPROTO_HOPOPTS) {
    protocol = byte_at(frame, at);
    at += 8;
  }
  const std::uint8_t type = byte_at(frame, at);
  return protocol == IPPROTO_ICMPV6 && ((type >= 130 && type <= 137) || type == 143);
}

}  // namespace

Result<PacketTap> PacketTap::start(const Topology& topology, const std::string& path) {
  auto writer = CaptureWriter::create(path);
  if (!writer) return fail_as(writer);
  PacketTap tap(std::move(*writer));
  for (const auto& node : topology.nodes()) {
    if (!node->in_use) continue;
    for (const auto& pod : node->pods) {
      if (!pod->in_use) continue;
      if (auto done = tap.listen(node->station.netns, pod->link.near_ifindex, {true, node->addresses, {}});
          !done) {
        return fail_as(done);
      }
    }
    if (auto done = tap.listen(node->station.netns, node->link.far_ifindex, {false, node->addresses, {}});
        !done) {
      return fail_as(done);
    }
  }
  for (const auto& outside : topology.outsides()) {
    if (!outside->in_use) continue;
    if (auto done = tap.listen(topology.fabric(), outside->link.near_ifindex, {true, {}, {}}); !done) {
      return fail_as(done);
    }
  }
  // The kernel starts to stamp arriving packets only some time after it was asked to, and those
  // without a stamp would get the time at which they are read.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  return tap;
}

Result<void> PacketTap::listen(const Netns& netns, std::uint32_t ifindex, Listener listener) {
  auto socket = packet_socket(netns, ifindex, ETH_P_ALL);
  if (!socket) return fail_as(socket);
  const int on = 1;
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) {
    return tl::unexpected(system_error("cannot have recorded packets stamped with their time"));
  }
  listener.socket = std::move(*socket);
  listeners_.push_back(std::move(listener));
  return {};
}

void PacketTap::collect() {
  std::array<std::byte, 65536> buffer{};
  for (const auto& listener : listeners_) {
    for (;;) {
      alignas(cmsghdr) std::array<char, 128> control{};
      sockaddr_ll from{};
      iovec part{buffer.data(), buffer.size()};
      msghdr message = message_of(from, part, control);
      const auto length = ::recvmsg(listener.socket.get(), &message, 0);
      if (length < 0) break;
      Taken packet;
      packet.frame.assign(buffer.begin(), buffer.begin() + length);
      if (belongs_to_the_link(packet.frame)) continue;
      const bool outgoing = from.sll_pkttype == PACKET_OUTGOING;
      if (outgoing ? !listener.own.contains(source_of(packet.frame)) : !listener.arriving) continue;
      for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
           header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS) continue;
        timespec stamp{};
        std::memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
        packet.at = {static_cast<std::int64_t>(stamp.tv_sec) * 1'000'000'000 + stamp.tv_nsec};
      }
      taken_.push_back(std::move(packet));
    }
  }
}

Result<std::size_t> PacketTap::stop() {
  collect();
  listeners_.clear();
  std::stable_sort(taken_.begin(), taken_.end(), [](const Taken& a, const Taken& b) { return a.at < b.at; });
  for (const auto& packet : taken_) {
    if (auto done = writer_.write(packet.at, packet.frame); !done) return fail_as(done);
  }
  if (auto done = writer_.close(); !done) return fail_as(done);
  return taken_.size();
}

}  // namespace postern::sim
