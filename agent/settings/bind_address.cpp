// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/bind_address.h"

#include <algorithm>
#include <charconv>

#include "engine/base/ip.h"

namespace postern::agent {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// Letters of a host's name or of an IPv4 address.
bool is_host_name(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

// "10.0.0.256" is a mistyped address and no name: no domain's last label is a number.
bool ends_in_number(std::string_view host) {
  const auto dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return !last.empty() && std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string BindAddress::to_string() const {
  if (off) return "0";
  const std::string port_text = std::to_string(port);
  return host.find(':') == std::string::npos ? host + ":" + port_text : "[" + host + "]:" + port_text;
}

std::optional<BindAddress> parse_bind_address(std::string_view text) {
  if (text.empty() || text == "0") return BindAddress{};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (!host.empty() && host.front() == '[') {
    if (host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(host);
    if (!address || address->is_v4()) return std::nullopt;
  } else if (!is_host_name(host) || (ends_in_number(host) && !IpAddress::parse(host))) {
    return std::nullopt;
  }
  return BindAddress{std::string(host), *port, false};
}

}  // namespace postern::agent
