// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/packet_tap.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

namespace postern::sim {

Result<PacketTap> PacketTap::start(const Topology& topology, const std::string& path) {
  auto writer = CaptureWriter::create(path);
  if (!writer) return fail_as(writer);
  PacketTap tap(std::move(*writer));
  for (const auto& node : topology.nodes()) {
    if (!node->in_use) continue;
    for (const auto& pod : node->pods) {
      if (!pod->in_use) continue;
      if (auto done = tap.listen(node->station.netns, pod->host_ifindex); !done) return fail_as(done);
    }
  }
  for (const auto& outside : topology.outsides()) {
    if (!outside->in_use) continue;
    if (auto done = tap.listen(topology.fabric(), outside->fabric_ifindex); !done) return fail_as(done);
  }
  return tap;
}

Result<void> PacketTap::listen(const Netns& netns, std::uint32_t ifindex) {
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_as(scope);
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(ifindex);
  const int on = 1;
  if (!socket.valid() || ::setsockopt(socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return tl::unexpected(system_error("cannot open a packet socket to record"));
  }
  sockets_.push_back(std::move(socket));
  return {};
}

void PacketTap::collect() {
  std::array<std::byte, 65536> buffer{};
  for (const auto& socket : sockets_) {
    for (;;) {
      alignas(cmsghdr) std::array<char, 128> control{};
      sockaddr_ll from{};
      iovec part{buffer.data(), buffer.size()};
      msghdr message{};
      message.msg_name = &from;
      message.msg_namelen = sizeof(from);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const auto length = ::recvmsg(socket.get(), &message, 0);
      if (length < 0) break;
      if (from.sll_pkttype == PACKET_OUTGOING) continue;  // what the interface's owner receives
      Taken packet;
      packet.frame.assign(buffer.begin(), buffer.begin() + length);
      for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
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
  sockets_.clear();
  std::stable_sort(taken_.begin(), taken_.end(), [](const Taken& a, const Taken& b) { return a.at < b.at; });
  for (const auto& packet : taken_) {
    if (auto done = writer_.write(packet.at, packet.frame); !done) return fail_as(done);
  }
  if (auto done = writer_.close(); !done) return fail_as(done);
  return taken_.size();
}

}  // namespace postern::sim
