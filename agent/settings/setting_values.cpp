// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/setting_values.h"

#include <sys/un.h>

#include <algorithm>
#include <charconv>

namespace postern::agent {
namespace {

bool one_of(const std::string& text, std::initializer_list<const char*> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_dns_label(const std::string& label) {
  return !label.empty() && label.size() <= 63 && is_lower_or_digit(label.front()) &&
         is_lower_or_digit(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_dns_subdomain(const std::string& name) {
  if (name.size() > 253) return false;
  std::size_t start = 0;
  while (true) {
    const std::size_t dot = name.find('.', start);
    if (!is_dns_label(name.substr(start, dot - start))) return false;
    if (dot == std::string::npos) return true;
    start = dot + 1;
  }
}

}  // namespace

std::optional<std::string> read_switch(const std::string& text, bool& value) {
  if (one_of(text, {"true", "TRUE", "True", "t", "T", "1"})) {
    value = true;
  } else if (one_of(text, {"false", "FALSE", "False", "f", "F", "0"})) {
    value = false;
  } else {
    return "true or false";
  }
  return std::nullopt;
}

std::optional<std::string> read_number(const std::string& text, NumberRange range, std::int64_t& value) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end || number < range.least || number > range.most) {
    return "a number from " + std::to_string(range.least) + " to " + std::to_string(range.most);
  }
  value = number;
  return std::nullopt;
}

std::optional<std::string> read_absolute_path(const std::string& text, std::string& value) {
  if (!text.starts_with('/')) return "a path that begins with /";
  value = text;
  return std::nullopt;
}

std::optional<std::string> read_socket_path(const std::string& text, std::string& value) {
  constexpr std::size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
  if (!text.empty() && (!text.starts_with('/') || text.size() > kMost)) {
    return "nothing, or a path that begins with / and has at most " + std::to_string(kMost) + " bytes";
  }
  value = text;
  return std::nullopt;
}

std::optional<std::string> read_bind_address(const std::string& text, BindAddress& value) {
  const auto address = parse_bind_address(text);
  if (!address) return "0 or an address and a port, as :8162, 127.0.0.1:8162 or [::1]:8162";
  value = *address;
  return std::nullopt;
}

bool is_cluster_name(std::string_view text) {
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::optional<std::string> read_cluster_name(const std::string& text, std::string& value) {
  if (!text.empty() && !is_cluster_name(text))
    return "nothing, or a cluster's name: letters, digits, -, _ and ., at most 100";
  value = text;
  return std::nullopt;
}

std::optional<std::string> read_node_name(const std::string& text, std::string& value) {
  if (!text.empty() && !is_dns_subdomain(text)) {
    return "a node's name: lower-case letters, digits, - and ., at most 253";
  }
  value = text;
  return std::nullopt;
}

}  // namespace postern::agent
