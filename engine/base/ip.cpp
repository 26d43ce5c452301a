// SPDX-License-Identifier: Apache-2.0
#include "engine/base/ip.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace postern {

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::icmp: return "ICMP";
    case Protocol::tcp: return "TCP";
    case Protocol::udp: return "UDP";
    case Protocol::icmpv6: return "ICMPv6";
    case Protocol::sctp: return "SCTP";
  }
  return "unknown";
}

std::optional<Protocol> parse_policy_protocol(std::string_view text) {
  if (text == "TCP") return Protocol::tcp;
  if (text == "UDP") return Protocol::udp;
  if (text == "SCTP") return Protocol::sctp;
  return std::nullopt;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress address;
  for (int i = 0; i < 4; ++i) {
    address.bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  }
  return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress address;
  address.family_ = IpFamily::v6;
  address.bytes_ = bytes;
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.empty() || text.size() > 45) return std::nullopt;
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  // inet_pton takes only the usual notations: four decimal numbers without leading zeros, no zone.
  if (text.find(':') == std::string_view::npos) {
    std::array<std::uint8_t, 4> bytes{};
    if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) != 1) return std::nullopt;
    std::memcpy(address.bytes_.data(), bytes.data(), bytes.size());
    return address;
  }
  address.family_ = IpFamily::v6;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) != 1) return std::nullopt;
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::memcmp(address.bytes_.data(), kMapped.data(), kMapped.size()) == 0) return std::nullopt;
  return address;
}

std::uint32_t IpAddress::v4_host_order() const {
  return static_cast<std::uint32_t>(bytes_[0]) << 24 | static_cast<std::uint32_t>(bytes_[1]) << 16 |
         static_cast<std::uint32_t>(bytes_[2]) << 8 | static_cast<std::uint32_t>(bytes_[3]);
}

std::uint32_t IpAddress::v4_network_order() const {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes_.data(), sizeof(value));
  return value;
}

bool IpAddress::is_of_a_host() const {
  if (is_v4()) {
    const std::uint32_t address = v4_host_order();
    return address != 0 && address != 0xffffffff && address >> 24 != 127 && address >> 28 != 0xe;
  }
  std::array<std::uint8_t, 16> loopback{};
  loopback[15] = 1;
  const bool link_local = bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
  return bytes_ != std::array<std::uint8_t, 16>{} && bytes_ != loopback && bytes_[0] != 0xff && !link_local;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

namespace {

std::uint8_t mask_byte(int prefix_length, std::size_t index) {
  const int bits = prefix_length - static_cast<int>(index) * 8;
  if (bits >= 8) return 0xff;
  if (bits <= 0) return 0;
  return static_cast<std::uint8_t>(0xff00 >> bits);
}

IpAddress from_bytes(IpFamily family, const std::array<std::uint8_t, 16>& bytes) {
  if (family == IpFamily::v6) return IpAddress::v6(bytes);
  return IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
                       static_cast<std::uint32_t>(bytes[2]) << 8 | static_cast<std::uint32_t>(bytes[3]));
}

}  // namespace

Cidr::Cidr(const IpAddress& address, int prefix_length) : prefix_length_(prefix_length) {
  auto bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] &= mask_byte(prefix_length, i);
  network_ = from_bytes(address.family(), bytes);
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const auto digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  int length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits[0] == '-' || length > address->bits()) {
    return std::nullopt;
  }
  return Cidr(*address, length);
}

IpAddress Cidr::last() const {
  auto bytes = network_.bytes();
  const std::size_t size = network_.is_v4() ? 4 : 16;
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(bytes[i] | static_cast<std::uint8_t>(~mask_byte(prefix_length_, i)));
  }
  return from_bytes(family(), bytes);
}

bool Cidr::contains(const IpAddress& address) const {
  if (address.family() != family()) return false;
  return Cidr(address, prefix_length_).network_ == network_;
}

bool Cidr::contains(const Cidr& other) const {
  return other.prefix_length_ >= prefix_length_ && contains(other.network_);
}

std::string Cidr::to_string() const { return network_.to_string() + '/' + std::to_string(prefix_length_); }

}  // namespace postern
