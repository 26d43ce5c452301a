// SPDX-License-Identifier: Apache-2.0
// Addresses, blocks, protocols and port ranges.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace postern {

enum class IpFamily : std::uint8_t { v4 = 4, v6 = 6 };

// IP protocol numbers of the protocols that Kubernetes policies and scenarios name.
enum class Protocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58, sctp = 132 };

// "TCP", "UDP", "SCTP", "ICMP", "ICMPv6".
std::string_view to_string(Protocol protocol);
// Accepts exactly "TCP", "UDP", "SCTP" (the API's values).
std::optional<Protocol> parse_policy_protocol(std::string_view text);

// An IPv4 or IPv6 address, bytes in network order (IPv4 in the first four, the rest zero).
class IpAddress {
 public:
  IpAddress() = default;
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  // The usual notation only: no leading zeros in IPv4, no zone, no brackets, and an IPv4-mapped
  // IPv6 address is refused, as the API server does.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] IpFamily family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == IpFamily::v4; }
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  [[nodiscard]] std::uint32_t v4_host_order() const;
  // The four bytes as they stand in a packet, read as a native integer (what abi structs hold).
  [[nodiscard]] std::uint32_t v4_network_order() const;
  // Whether one host may have it, and be reached at it from another link: not if it is unspecified,
  // loopback, multicast, broadcast or of an IPv6 link.
  [[nodiscard]] bool is_of_a_host() const;
  [[nodiscard]] int bits() const { return is_v4() ? 32 : 128; }
  [[nodiscard]] std::string to_string() const;  // RFC 5952 for IPv6

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  IpFamily family_ = IpFamily::v4;
  std::array<std::uint8_t, 16> bytes_{};
};

// A block of addresses; host bits are masked away, so two spellings are one value (R6).
class Cidr {
 public:
  Cidr() = default;
  Cidr(const IpAddress& address, int prefix_length);
  static Cidr host(const IpAddress& address) { return {address, address.bits()}; }
  // "10.0.0.0/8", "2001:db8::/32". The prefix length is required.
  static std::optional<Cidr> parse(std::string_view text);

  [[nodiscard]] const IpAddress& network() const { return network_; }
  [[nodiscard]] int prefix_length() const { return prefix_length_; }
  [[nodiscard]] IpFamily family() const { return network_.family(); }
  [[nodiscard]] IpAddress last() const;  // highest address of the block
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const Cidr& other) const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Cidr&, const Cidr&) = default;

 private:
  IpAddress network_{};
  int prefix_length_ = 0;
};

// Inclusive at both ends.
struct PortRange {
  std::uint16_t lo = 0;
  std::uint16_t hi = 65535;
  [[nodiscard]] constexpr bool contains(std::uint16_t port) const { return lo <= port && port <= hi; }
  friend constexpr auto operator<=>(const PortRange&, const PortRange&) = default;
};

}  // namespace postern
