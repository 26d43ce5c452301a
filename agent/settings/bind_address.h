// SPDX-License-Identifier: Apache-2.0
// Where an HTTP endpoint listens, as the flags write it: ":8162", "127.0.0.1:8162", "[::1]:8162",
// "localhost:8162"; "0" or nothing is no endpoint at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::agent {

struct BindAddress {
  std::string host;        // without brackets; empty: every address of both families
  std::uint16_t port = 0;  // 0: one that the kernel picks
  bool off = true;

  [[nodiscard]] std::string to_string() const;  // as a flag would write it; "0" when off
  friend bool operator==(const BindAddress&, const BindAddress&) = default;
};

// Nothing for what is no such form. A host's name is not looked up here.
std::optional<BindAddress> parse_bind_address(std::string_view text);

}  // namespace postern::agent
