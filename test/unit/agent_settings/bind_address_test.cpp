// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "agent/settings/bind_address.h"

namespace postern::agent {
namespace {

TEST(BindAddress, is_read_in_every_form_of_the_flags) {
  const struct {
    const char* name;
    const char* text;
    const char* read;  // as written again; "-" when refused
  } rows[] = {
      {"a port alone is every address", ":8162", ":8162"},
      {"IPv4", "127.0.0.1:8162", "127.0.0.1:8162"},
      {"all of IPv4", "0.0.0.0:8162", "0.0.0.0:8162"},
      {"IPv6 in brackets", "[::1]:8162", "[::1]:8162"},
      {"all of IPv6", "[::]:8162", "[::]:8162"},
      {"a name", "localhost:8162", "localhost:8162"},
      {"a name that begins with a digit", "1node.example:80", "1node.example:80"},
      {"any port", ":0", ":0"},
      {"the highest port", ":65535", ":65535"},
      {"0 is off", "0", "0"},
      {"nothing is off", "", "0"},
      {"a port that is too high", ":65536", "-"},
      {"a negative port", ":-1", "-"},
      {"no port", "127.0.0.1", "-"},
      {"an empty port", "127.0.0.1:", "-"},
      {"a port alone without its colon", "8162", "-"},
      {"a port with letters", ":81a", "-"},
      {"IPv6 without brackets", "::1:8162", "-"},
      {"a bracket that is not closed", "[::1:8162", "-"},
      {"IPv4 in brackets", "[127.0.0.1]:8162", "-"},
      {"nothing in brackets", "[]:8162", "-"},
      {"a zone", "[fe80::1%eth0]:8162", "-"},
      {"an address that is out of range", "10.0.0.256:80", "-"},
      {"an address that is too short", "10.0.0:80", "-"},
      {"a URL", "http://localhost:80", "-"},
      {"a blank", " :80", "-"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto address = parse_bind_address(row.text);
    EXPECT_EQ(address ? address->to_string() : "-", row.read);
  }
}

}  // namespace
}  // namespace postern::agent
