// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/fields.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace postern::manifest {

void Report::unexpected(const Value& found, std::string_view name, std::string_view expected) const {
  error(found, std::string(name) + ": found " + describe(found) + ", expected " + std::string(expected));
}

namespace {

// The field if it is of this kind; reported if it is of another.
const Value* field_of(const Report& report, const Value* parent, std::string_view name, Kind kind) {
  static constexpr std::array<std::string_view, 7> kExpected{
      "nothing", "true or false", "a whole number", "a number", "a string", "a list", "a mapping"};
  const Value* value = parent == nullptr ? nullptr : parent->find(name);
  if (value == nullptr || value->kind == kind) return value;
  std::string expected(kExpected[static_cast<std::size_t>(kind)]);
  if (kind == Kind::string && value->is_scalar()) expected += " (in quotes)";
  report.unexpected(*value, name, expected);
  return nullptr;
}

}  // namespace

const Value* mapping_at(const Report& report, const Value* parent, std::string_view name) {
  return field_of(report, parent, name, Kind::mapping);
}

std::optional<std::string> string_at(const Report& report, const Value* parent, std::string_view name) {
  const Value* value = field_of(report, parent, name, Kind::string);
  return value == nullptr ? std::nullopt : std::optional(value->text);
}

std::optional<std::int64_t> integer_at(const Report& report, const Value* parent, std::string_view name) {
  const Value* value = field_of(report, parent, name, Kind::integer);
  if (value == nullptr) return std::nullopt;
  const auto number = integer_of(*value);
  if (!number) report.unexpected(*value, name, "a number of 64 bits");
  return number;
}

std::optional<bool> boolean_at(const Report& report, const Value* parent, std::string_view name) {
  const Value* value = field_of(report, parent, name, Kind::boolean);
  return value == nullptr ? std::nullopt : std::optional(value->boolean());
}

std::vector<const Value*> list_at(const Report& report, const Value* parent, std::string_view name) {
  std::vector<const Value*> elements;
  const Value* value = field_of(report, parent, name, Kind::sequence);
  if (value == nullptr) return elements;
  elements.reserve(value->items.size());
  for (const auto& item : value->items) elements.push_back(&item);
  return elements;
}

std::vector<const Value*> mappings_at(const Report& report, const Value* parent, std::string_view name) {
  std::vector<const Value*> elements = list_at(report, parent, name);
  elements.erase(std::remove_if(elements.begin(), elements.end(),
                                [&](const Value* element) {
                                  if (element->kind == Kind::mapping || element->is_null()) return false;
                                  report.unexpected(*element, name, "a mapping in the list");
                                  return true;
                                }),
                 elements.end());
  return elements;
}

std::map<std::string, std::string> strings_at(const Report& report, const Value* parent,
                                              std::string_view name) {
  std::map<std::string, std::string> strings;
  const Value* mapping = mapping_at(report, parent, name);
  if (mapping == nullptr) return strings;
  for (std::size_t i = 0; i < mapping->size(); ++i) {
    const Value& value = mapping->member(i);
    if (value.kind != Kind::string && !value.is_null()) {
      report.unexpected(value, std::string(name) + "." + mapping->key(i).text,
                        value.is_scalar() ? "a string (in quotes)" : "a string");
      continue;
    }
    strings.emplace(mapping->key(i).text, value.text);
  }
  return strings;
}

std::optional<std::int64_t> integer_of(const Value& value) {
  std::string_view text = value.text;
  int base = 10;
  if (text.substr(0, 2) == "0o") base = 8;
  if (text.substr(0, 2) == "0x") base = 16;
  if (base != 10) text.remove_prefix(2);
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_port_number(const Value& value) {
  const auto number = value.kind == Kind::integer ? integer_of(value) : std::nullopt;
  return number && *number >= 1 && *number <= 65535;
}

std::optional<std::uint16_t> port_number_of(const Report& report, const Value& value, std::string_view name) {
  if (is_port_number(value)) return static_cast<std::uint16_t>(*integer_of(value));
  report.unexpected(value, name, "a port number from 1 to 65535");
  return std::nullopt;
}

std::optional<IntOrString> port_of(const Report& report, const Value& value, std::string_view name) {
  if (value.kind != Kind::string) {
    const auto number = port_number_of(report, value, name);
    return number ? std::optional<IntOrString>(*number) : std::nullopt;
  }
  if (const char* expected = wrong_port_name(value.text)) {
    report.unexpected(value, name, expected);
    return std::nullopt;
  }
  return IntOrString(value.text);
}

std::optional<Protocol> protocol_at(const Report& report, const Value* parent) {
  const Value* value = parent == nullptr ? nullptr : parent->find("protocol");
  if (value == nullptr) return Protocol::tcp;
  const auto protocol = value->kind == Kind::string ? parse_policy_protocol(value->text) : std::nullopt;
  if (!protocol) report.unexpected(*value, "protocol", "TCP, UDP or SCTP");
  return protocol;
}

const char* almost_an_address(std::string_view text) {
  const bool v6 = text.find(':') != std::string_view::npos;
  const auto last = text.find_first_not_of(v6 ? "0123456789abcdefABCDEF:." : "0123456789.");
  if (v6 && last != std::string_view::npos && text[last] == '%') {
    return "an IPv6 address without a zone";
  }
  if (last != std::string_view::npos) return nullptr;
  if (v6 && text.find('.') != std::string_view::npos) {
    return "an IPv4 address on its own, not inside an IPv6 address";
  }
  if (v6) return "an IPv6 address in its usual notation";
  if (std::count(text.begin(), text.end(), '.') != 3) return nullptr;
  return "four numbers from 0 to 255 without leading zeros";
}

namespace {

// API servers before 1.36 take "010.0.0.1", and like everybody who then reads it they mean decimal
// numbers. In a file it is refused, since its writer may mean octal.
std::string without_leading_zeros(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts_number = plain.empty() || plain.back() == '.' || plain.back() == '/';
    const bool number_goes_on = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (text[i] == '0' && starts_number && number_goes_on) continue;
    plain += text[i];
  }
  return plain;
}

std::string address_text(const Report& report, const Value& value) {
  const bool v4 = value.text.find(':') == std::string::npos;
  return report.live && v4 ? without_leading_zeros(value.text) : value.text;
}

}  // namespace

std::optional<IpAddress> address_of(const Report& report, const Value& value, std::string_view name) {
  const bool text = value.kind == Kind::string;
  const auto address = text ? IpAddress::parse(address_text(report, value)) : std::nullopt;
  const char* almost = text && !address ? almost_an_address(value.text) : nullptr;
  if (!address) {
    report.unexpected(value, name, almost != nullptr ? almost : "an address like 10.0.0.1 or 2001:db8::1");
  }
  return address;
}

std::optional<Cidr> cidr_of(const Report& report, const Value& value, std::string_view name) {
  const bool text = value.kind == Kind::string;
  const auto cidr = text ? Cidr::parse(address_text(report, value)) : std::nullopt;
  if (cidr) return cidr;
  const auto slash = value.text.find('/');
  const auto address = IpAddress::parse(std::string_view(value.text).substr(0, slash));
  const char* almost = text ? almost_an_address(std::string_view(value.text).substr(0, slash)) : nullptr;
  if (text && address && slash == std::string::npos) {
    report.unexpected(value, name, "a block with its length, " + Cidr::host(*address).to_string());
  } else if (text && address) {
    report.unexpected(value, name, "a length from 0 to " + std::to_string(address->bits()));
  } else {
    report.unexpected(value, name,
                      almost != nullptr ? almost : "a block of addresses like 10.0.0.0/8 or 2001:db8::/32");
  }
  return std::nullopt;
}

namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool alphanumeric(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

// [a-z0-9] at both ends, '-' also inside.
bool dns_label(std::string_view text) {
  return !text.empty() && lower_or_digit(text.front()) && lower_or_digit(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return lower_or_digit(c) || c == '-'; });
}

bool dns_subdomain(std::string_view text) {
  if (text.size() > 253) return false;
  while (true) {
    const auto dot = text.find('.');
    if (!dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// [A-Za-z0-9] at both ends, '-', '_' and '.' also inside.
bool qualified(std::string_view text) {
  return !text.empty() && text.size() <= 63 && alphanumeric(text.front()) && alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace

const char* wrong_subdomain(std::string_view name) {
  return dns_subdomain(name) ? nullptr
                             : "a name of lower-case letters, digits, '-' and '.', at most 253 long";
}

const char* wrong_label_name(std::string_view name) {
  return dns_label(name) && name.size() <= 63
             ? nullptr
             : "a name of lower-case letters, digits and '-', at most 63 long";
}

const char* wrong_port_name(std::string_view name) {
  if (name.size() > 15) return "a port name of at most 15 characters";
  if (std::none_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; })) {
    return "a port number without quotes, or a port name with at least one lower-case letter";
  }
  if (!dns_label(name) || name.find("--") != std::string_view::npos) {
    return "a port name of lower-case letters, digits and single '-' inside";
  }
  return nullptr;
}

const char* wrong_label_key(std::string_view key) {
  const auto slash = key.find('/');
  const bool right = slash == std::string_view::npos
                         ? qualified(key)
                         : dns_subdomain(key.substr(0, slash)) && qualified(key.substr(slash + 1));
  return right
             ? nullptr
             : "a label key of letters, digits, '-', '_' and '.', at most 63 long, after an optional domain/";
}

const char* wrong_label_value(std::string_view value) {
  return value.empty() || qualified(value)
             ? nullptr
             : "a label value of letters, digits, '-', '_' and '.', at most 63 long";
}

}  // namespace postern::manifest
