// SPDX-License-Identifier: Apache-2.0
#include "net/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/system_error.h"

namespace postern {
namespace {

// The kernel fills up to 32 KiB at once for a reader that has the room.
constexpr std::size_t kBufferBytes = 65536;

// What ends an exchange: an acknowledgement, a refusal, the end of a dump. nullopt: an ordinary message.
std::optional<int> answer_of(const nlmsghdr& message) {
  if (message.nlmsg_type != NLMSG_ERROR && message.nlmsg_type != NLMSG_DONE) return std::nullopt;
  // Both begin with a negative error number. That of a dump's end matters: it is the only sign that a
  // dump was refused half way, and libmnl 1.0.4 does not look at it.
  int number = 0;
  if (mnl_nlmsg_get_payload_len(&message) >= sizeof number) {
    std::memcpy(&number, mnl_nlmsg_get_payload(&message), sizeof number);
  }
  return -number;
}

}  // namespace

std::uint8_t netlink_family(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

NetlinkRequest::NetlinkRequest(std::uint16_t type, int flags) {
  nlmsghdr* const made = mnl_nlmsg_put_header(bytes_.data());
  made->nlmsg_type = type;
  made->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

void NetlinkRequest::put(std::uint16_t attribute, std::uint32_t value) {
  mnl_attr_put_u32(header(), attribute, value);
}

void NetlinkRequest::put(std::uint16_t attribute, const std::string& text) {
  mnl_attr_put_strz(header(), attribute, text.c_str());
}

void NetlinkRequest::put(std::uint16_t attribute, const Mac& mac) {
  mnl_attr_put(header(), attribute, mac.size(), mac.data());
}

void NetlinkRequest::put(std::uint16_t attribute, const IpAddress& address) {
  mnl_attr_put(header(), attribute, address.is_v4() ? 4 : 16, address.bytes().data());
}

NetlinkAttributes::NetlinkAttributes(const nlmsghdr& message, std::size_t fixed_bytes)
    : first_(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, fixed_bytes))),
      // libmnl's own tail is rounded up, past the last byte.
      end_(reinterpret_cast<const char*>(&message) + message.nlmsg_len) {}

NetlinkAttributes::NetlinkAttributes(const nlattr& nest)
    : first_(static_cast<const nlattr*>(mnl_attr_get_payload(&nest))),
      end_(static_cast<const char*>(mnl_attr_get_payload(&nest)) + mnl_attr_get_payload_len(&nest)) {}

const nlattr* NetlinkAttributes::find(std::uint16_t attribute) const {
  for (const nlattr* at = first_; reinterpret_cast<const char*>(at) < end_; at = mnl_attr_next(at)) {
    if (!mnl_attr_ok(at, static_cast<int>(end_ - reinterpret_cast<const char*>(at)))) return nullptr;
    if (mnl_attr_get_type(at) == attribute) return at;
  }
  return nullptr;
}

std::optional<std::uint32_t> NetlinkAttributes::number(std::uint16_t attribute) const {
  const nlattr* const found = find(attribute);
  if (found == nullptr || mnl_attr_get_payload_len(found) != sizeof(std::uint32_t)) return std::nullopt;
  return mnl_attr_get_u32(found);
}

std::optional<std::uint8_t> NetlinkAttributes::byte(std::uint16_t attribute) const {
  const nlattr* const found = find(attribute);
  if (found == nullptr || mnl_attr_get_payload_len(found) != sizeof(std::uint8_t)) return std::nullopt;
  return mnl_attr_get_u8(found);
}

std::optional<std::uint16_t> NetlinkAttributes::short_number(std::uint16_t attribute) const {
  const nlattr* const found = find(attribute);
  if (found == nullptr || mnl_attr_get_payload_len(found) != sizeof(std::uint16_t)) return std::nullopt;
  return mnl_attr_get_u16(found);
}

std::optional<std::string> NetlinkAttributes::text(std::uint16_t attribute) const {
  const nlattr* const found = find(attribute);
  if (found == nullptr) return std::nullopt;
  const char* const begin = mnl_attr_get_str(found);
  return std::string(begin, ::strnlen(begin, mnl_attr_get_payload_len(found)));
}

std::optional<Mac> NetlinkAttributes::mac(std::uint16_t attribute) const {
  const nlattr* const found = find(attribute);
  Mac mac{};
  if (found == nullptr || mnl_attr_get_payload_len(found) != mac.size()) return std::nullopt;
  std::memcpy(mac.data(), mnl_attr_get_payload(found), mac.size());
  return mac;
}

std::optional<IpAddress> NetlinkAttributes::address(std::uint16_t attribute, int family) const {
  const std::size_t length = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
  const nlattr* const found = find(attribute);
  if (found == nullptr || length == 0 || mnl_attr_get_payload_len(found) != length) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), mnl_attr_get_payload(found), length);
  if (family == AF_INET6) return IpAddress::v6(bytes);
  std::uint32_t host_order = 0;
  for (std::size_t i = 0; i < length; ++i) host_order = host_order << 8 | bytes[i];
  return IpAddress::v4(host_order);
}

Result<NetlinkSocket> NetlinkSocket::open(int bus) {
  NetlinkSocket made;
  made.socket_.reset(mnl_socket_open2(bus, SOCK_CLOEXEC));
  if (!made.socket_) return tl::unexpected(system_error("cannot open a netlink socket"));
  if (mnl_socket_bind(made.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return tl::unexpected(system_error("cannot bind a netlink socket"));
  }
  made.buffer_.resize(kBufferBytes);
  return made;
}

Result<std::uint32_t> NetlinkSocket::send(NetlinkRequest& request) {
  nlmsghdr* const asked = request.header();
  asked->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), asked, asked->nlmsg_len) < 0) {
    return tl::unexpected(system_error("cannot send to the kernel by netlink"));
  }
  return sequence_;
}

Result<int> NetlinkSocket::exchange(NetlinkRequest& request, const Take& take) {
  const nlmsghdr* const asked = request.header();
  if (const auto sent = send(request); !sent) return fail_as(sent);
  bool interrupted = false;
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return tl::unexpected(system_error("cannot receive from the kernel by netlink"));
    int left = static_cast<int>(received);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;  // of an exchange that was given up
      interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (const auto answer = answer_of(*message)) return *answer == 0 && interrupted ? EINTR : *answer;
      if (take) take(*message);
      if ((message->nlmsg_flags & NLM_F_MULTI) == 0 && (asked->nlmsg_flags & NLM_F_ACK) == 0) return 0;
    }
  }
}

Result<void> NetlinkSocket::change(NetlinkRequest& request, const std::string& what, int tolerated) {
  const auto answer = exchange(request);
  if (!answer) return fail(answer.error().code, what + ": " + answer.error().message);
  if (*answer != 0 && *answer != tolerated) return tl::unexpected(system_error(what, *answer));
  return {};
}

Result<void> NetlinkSocket::join(unsigned group) {
  if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return tl::unexpected(system_error("cannot follow netlink group " + std::to_string(group)));
  }
  return {};
}

Result<NetlinkSocket::Received> NetlinkSocket::receive(const Take& take) {
  sockaddr_nl from{};
  ssize_t received = -1;
  do {
    socklen_t length = sizeof from;
    received = ::recvfrom(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT,
                          reinterpret_cast<sockaddr*>(&from), &length);
  } while (received < 0 && errno == EINTR);
  if (received < 0 && errno == EAGAIN) return Received::nothing;
  if (received < 0 && errno == ENOBUFS) return Received::lost;
  if (received < 0) return tl::unexpected(system_error("cannot receive what the kernel announces"));
  if (from.nl_pid != 0) return Received::messages;  // another process: nobody to be believed
  int left = static_cast<int>(received);
  for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
       mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    take(*message);
  }
  return Received::messages;
}

}  // namespace postern
