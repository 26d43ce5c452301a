// SPDX-License-Identifier: Apache-2.0
// Text -> value, for the table of settings. Each function stores the value, or leaves it alone and
// returns what was expected, worded to stand after "expected ".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/settings/bind_address.h"

namespace postern::agent {

// Inclusive at both ends.
struct NumberRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

// As Go's flags spell a boolean: true, TRUE, True, t, T, 1 and their opposites.
std::optional<std::string> read_switch(const std::string& text, bool& value);
// Decimal digits alone.
std::optional<std::string> read_number(const std::string& text, NumberRange range, std::int64_t& value);
std::optional<std::string> read_absolute_path(const std::string& text, std::string& value);
// Empty, or an absolute path that a socket's address has room for.
std::optional<std::string> read_socket_path(const std::string& text, std::string& value);
std::optional<std::string> read_bind_address(const std::string& text, BindAddress& value);
// Empty, or a DNS subdomain as Kubernetes names its nodes.
std::optional<std::string> read_node_name(const std::string& text, std::string& value);
// Empty, or a cluster's name.
std::optional<std::string> read_cluster_name(const std::string& text, std::string& value);

// 1 to 100 letters, digits, "-", "_" and ".": what an EKS cluster may be called, and may be a part of the
// name of a log group.
bool is_cluster_name(std::string_view text);

template <typename Number>
std::optional<std::string> read_number(const std::string& text, NumberRange range, Number& value) {
  std::int64_t number = 0;
  auto expected = read_number(text, range, number);
  if (!expected) value = static_cast<Number>(number);
  return expected;
}

// One of the words, exactly.
template <typename Value>
std::optional<std::string> read_word(const std::string& text,
                                     std::initializer_list<std::pair<const char*, Value>> words,
                                     Value& value) {
  std::string expected;
  std::size_t left = words.size();
  for (const auto& [word, meaning] : words) {
    if (text == word) {
      value = meaning;
      return std::nullopt;
    }
    expected += word;
    --left;
    if (left > 0) expected += left == 1 ? " or " : ", ";
  }
  return expected;
}

}  // namespace postern::agent
