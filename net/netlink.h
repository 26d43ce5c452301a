// SPDX-License-Identifier: Apache-2.0
// Netlink as C++ values, on libmnl: a request under construction, the attributes of a message, and
// a socket that asks and waits, or that follows what the kernel announces. A socket belongs to the
// network namespace it was opened in, whatever namespace the thread enters later.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"

namespace postern {

using Mac = std::array<std::uint8_t, 6>;

// AF_INET or AF_INET6.
std::uint8_t netlink_family(const IpAddress& address);

class NetlinkRequest {
 public:
  // `type` as RTM_*; NLM_F_REQUEST is added to `flags`.
  NetlinkRequest(std::uint16_t type, int flags);
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  [[nodiscard]] nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
  // The fixed part that the type asks for, zeroed. Once, before any attribute.
  template <typename T>
  T& fixed() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header(), sizeof(T)));
  }
  void put(std::uint16_t attribute, std::uint32_t value);
  void put(std::uint16_t attribute, const std::string& text);
  void put(std::uint16_t attribute, const Mac& mac);
  void put(std::uint16_t attribute, const IpAddress& address);

 private:
  alignas(nlmsghdr) std::array<char, 2048> bytes_{};
};

// The fixed part of a message; nullptr: the message is too short to have one.
template <typename T>
const T* netlink_fixed(const nlmsghdr& message) {
  return mnl_nlmsg_get_payload_len(&message) < sizeof(T) ? nullptr
                                                         : static_cast<const T*>(mnl_nlmsg_get_payload(&message));
}

// Attributes behind the fixed part of a message, or inside another attribute. What is absent, or has not
// the length of what is asked for, is nullopt.
class NetlinkAttributes {
 public:
  NetlinkAttributes(const nlmsghdr& message, std::size_t fixed_bytes);
  explicit NetlinkAttributes(const nlattr& nest);
  [[nodiscard]] const nlattr* find(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::uint32_t> number(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::uint8_t> byte(std::uint16_t attribute) const;
  // As it stands in the message, which for ports is network order.
  [[nodiscard]] std::optional<std::uint16_t> short_number(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::string> text(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<Mac> mac(std::uint16_t attribute) const;
  // `family` as AF_INET or AF_INET6; others have no address here.
  [[nodiscard]] std::optional<IpAddress> address(std::uint16_t attribute, int family) const;

 private:
  const nlattr* first_;
  const char* end_;
};

class NetlinkSocket {
 public:
  using Take = std::function<void(const nlmsghdr& message)>;

  // In the current namespace; `bus` as NETLINK_*. Errors: io, permission.
  static Result<NetlinkSocket> open(int bus = NETLINK_ROUTE);
  [[nodiscard]] int fd() const { return mnl_socket_get_fd(socket_.get()); }

  // Sends the request and hands every message of the answer to `take`. Returns 0, or the error number
  // that the kernel answers with; EINTR says that a dump was overtaken by a change: ask again.
  // Errors: io, when there is no answer at all.
  Result<int> exchange(NetlinkRequest& request, const Take& take = {});
  // The same for a change, where anything but 0 and `tolerated` is an error that begins with `what`.
  Result<void> change(NetlinkRequest& request, const std::string& what, int tolerated = 0);

  // Sends without waiting for the answer, which receive() takes in. Returns the sequence number that the
  // answer carries. Errors: io.
  Result<std::uint32_t> send(NetlinkRequest& request);

  // From now on the kernel's announcements of an RTNLGRP_* arrive. Use another socket for exchange().
  Result<void> join(unsigned group);
  enum class Received : std::uint8_t { messages, nothing, lost };
  // What has arrived, without waiting: one datagram. lost: the socket's buffer was full, and
  // announcements are missing. Errors: io.
  Result<Received> receive(const Take& take);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  NetlinkSocket() = default;

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
  std::vector<char> buffer_;
};

}  // namespace postern
