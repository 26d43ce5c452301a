// SPDX-License-Identifier: Apache-2.0
// Ends and probes, and the small readers that the other parts share.
#include <algorithm>

#include "engine/base/nearest_names.h"
#include "sim/scenario/parts.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::sim {

std::string join(std::initializer_list<std::string_view> words) {
  std::string text;
  std::size_t left = words.size();
  for (const auto& word : words) {
    text += word;
    --left;
    if (left > 0) text += left == 1 ? " or " : ", ";
  }
  return text;
}

void only_keys(const Report& report, const Value& mapping, std::string_view part,
               std::initializer_list<std::string_view> keys) {
  if (mapping.kind != manifest::Kind::mapping) return;
  for (std::size_t i = 0; i < mapping.size(); ++i) {
    const Value& key = mapping.key(i);
    if (std::find(keys.begin(), keys.end(), key.text) != keys.end()) continue;
    report.error(key, "found the key " + describe(key) + " in " + std::string(part) + ", expected " +
                          join(keys) + did_you_mean(key.text, {keys.begin(), keys.end()}));
  }
}

const Value* required(const Report& report, const Value& mapping, std::string_view part,
                      std::string_view key) {
  const Value* value = mapping.find(key);
  if (value == nullptr) {
    report.error(mapping, std::string(part) + " has no " + std::string(key) + ", expected one");
  }
  return value;
}

std::optional<std::size_t> word_at(const Report& report, const Value* parent, std::string_view key,
                                   std::initializer_list<std::string_view> words,
                                   std::optional<std::size_t> fallback) {
  const Value* value = parent == nullptr ? nullptr : parent->find(key);
  if (value == nullptr) return fallback;
  const auto found = std::find(words.begin(), words.end(), value->text);
  if (value->kind == manifest::Kind::string && found != words.end()) {
    return static_cast<std::size_t>(found - words.begin());
  }
  report.unexpected(*value, key, join(words));
  return std::nullopt;
}

std::optional<std::int64_t> number_at(const Report& report, const Value* parent, std::string_view key,
                                      std::int64_t lo, std::int64_t hi) {
  const Value* value = parent == nullptr ? nullptr : parent->find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = value->kind == manifest::Kind::integer ? manifest::integer_of(*value) : std::nullopt;
  if (number && *number >= lo && *number <= hi) return number;
  report.unexpected(*value, key, "a number from " + std::to_string(lo) + " to " + std::to_string(hi));
  return std::nullopt;
}

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t ns;
  };
  static constexpr Unit kUnits[] = {{"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000},
                                    {"ms", 1'000'000},        {"us", 1'000},         {"ns", 1}};
  constexpr std::int64_t kLongest = std::int64_t{3650} * 24 * 3'600'000'000'000;  // ten years
  if (text == "0") return Duration{0};
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::size_t from_unit = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
      if (digits > 15) return std::nullopt;
      number = number * 10 + (text[digits] - '0');
    }
    std::size_t end = digits;
    while (end < text.size() && text[end] >= 'a' && text[end] <= 'z') ++end;
    const auto name = text.substr(digits, end - digits);
    std::size_t unit = from_unit;
    while (unit < std::size(kUnits) && kUnits[unit].name != name) ++unit;
    if (digits == 0 || unit == std::size(kUnits) || number > kLongest / kUnits[unit].ns) return std::nullopt;
    total += number * kUnits[unit].ns;
    if (total > kLongest) return std::nullopt;
    from_unit = unit + 1;
    text.remove_prefix(end);
  }
  return Duration{total};
}

std::optional<Duration> duration_at(const Report& report, const Value* parent, std::string_view key) {
  const Value* value = parent == nullptr ? nullptr : parent->find(key);
  if (value == nullptr) return std::nullopt;
  const auto duration = value->is_scalar() ? parse_duration(value->text) : std::nullopt;
  if (!duration) report.unexpected(*value, key, "a duration like 30s, 1m30s or 250ms");
  return duration;
}

void unsupported(const Report& report, const Value& place, std::string_view what) {
  report.error(place, std::string(what) + " is not supported yet", ErrorCode::unsupported);
}

bool check_family(const Report& report, const Value& place, std::string_view name, const IpAddress& address,
                  ScenarioFamily family) {
  if (family == ScenarioFamily::dual || address.is_v4() == (family == ScenarioFamily::v4)) return true;
  report.unexpected(
      place, name,
      std::string("an address of the scenario's family, ") + (family == ScenarioFamily::v4 ? "IPv4" : "IPv6"));
  return false;
}

namespace {

// A name in a glob: what names are made of, and '*'.
bool right_pattern(std::string_view text) {
  std::string name(text);
  std::replace(name.begin(), name.end(), '*', 'x');
  return manifest::wrong_subdomain(name) == nullptr;
}

std::optional<End> read_service_end(const Report& report, const Value& value, std::string_view side) {
  const std::string_view name = std::string_view(value.text).substr(8);
  const auto slash = name.find('/');
  if (side != "to") {
    report.unexpected(value, side, "a Service only in to");
  } else if (slash == std::string_view::npos ||
             manifest::wrong_label_name(name.substr(0, slash)) != nullptr ||
             manifest::wrong_label_name(name.substr(slash + 1)) != nullptr) {
    report.unexpected(value, side, "service:namespace/name");
  } else {
    return End(ServiceEnd{{std::string(name.substr(0, slash)), std::string(name.substr(slash + 1))}});
  }
  return std::nullopt;
}

}  // namespace

std::optional<End> read_end(const Report& report, const Value& mapping, std::string_view side,
                            ScenarioFamily family) {
  const Value* value = mapping.find(side);
  if (value == nullptr) return std::nullopt;
  static constexpr std::string_view kExpected =
      "namespace/pod (with * as a wildcard), node:NAME, service:namespace/name "
      "or an address";
  if (value->kind != manifest::Kind::string) {
    report.unexpected(*value, side, kExpected);
    return std::nullopt;
  }
  const std::string_view text = value->text;
  if (text.substr(0, 5) == "node:") {
    if (manifest::wrong_subdomain(text.substr(5)) == nullptr) {
      return End(NodeEnd{std::string(text.substr(5))});
    }
    report.unexpected(*value, side, "node: with the name of a node");
    return std::nullopt;
  }
  if (text.substr(0, 8) == "service:") return read_service_end(report, *value, side);
  if (const auto address = IpAddress::parse(text)) {
    return check_family(report, *value, side, *address, family) ? std::optional(End(*address)) : std::nullopt;
  }
  if (const char* expected = manifest::almost_an_address(text)) {
    report.unexpected(*value, side, expected);
    return std::nullopt;
  }
  const auto slash = text.find('/');
  if (slash != std::string_view::npos && !Cidr::parse(text) && right_pattern(text.substr(0, slash)) &&
      right_pattern(text.substr(slash + 1))) {
    return End(PodGlob{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))});
  }
  report.unexpected(*value, side, kExpected);
  return std::nullopt;
}

namespace {

// An end of a connection that is opened and answered; single packets may have any.
std::optional<End> read_probe_end(const Report& report, const Value& probe, std::string_view side,
                                  ScenarioFamily family) {
  auto end = read_end(report, probe, side, family);
  const auto* address = end ? std::get_if<IpAddress>(&*end) : nullptr;
  if (address == nullptr || address->is_of_a_host()) return end;
  report.unexpected(*probe.find(side), side, manifest::kHostAddress);
  return std::nullopt;
}

void read_probe_port(const Report& report, const Value& probe, bool protocol_known, ProbeLine& line) {
  const Value* port = probe.find("port");
  if (!protocol_known) return;
  if (line.protocol == ProbeProtocol::icmp) {
    if (port != nullptr) report.unexpected(*port, "port", "none for ICMP");
    return;
  }
  if (port == nullptr) {
    report.error(probe, "a probe has no port, expected a number or a name");
    return;
  }
  if (const auto read = manifest::port_of(report, *port, "port")) line.port = *read;
}

}  // namespace

std::optional<ProbeLine> read_probe(const Report& report, const Value& probe, ScenarioFamily family) {
  only_keys(report, probe, "a probe", {"from", "to", "port", "protocol", "expect"});
  ProbeLine line;
  line.location = report.at(probe);
  const Value* from = required(report, probe, "a probe", "from");
  const Value* to = required(report, probe, "a probe", "to");
  required(report, probe, "a probe", "expect");
  const auto from_end = read_probe_end(report, probe, "from", family);
  const auto to_end = read_probe_end(report, probe, "to", family);
  const auto protocol = word_at(report, &probe, "protocol", {"TCP", "UDP", "SCTP", "ICMP"}, 0);
  if (protocol) line.protocol = static_cast<ProbeProtocol>(*protocol);
  read_probe_port(report, probe, protocol.has_value(), line);
  const auto expect = word_at(report, &probe, "expect", {"deny", "allow"});
  if (from == nullptr || to == nullptr || !from_end || !to_end || !expect) return std::nullopt;
  line.from_text = from->text;
  line.to_text = to->text;
  line.from = *from_end;
  line.to = *to_end;
  line.expect = static_cast<Expectation>(*expect);
  return line;
}

}  // namespace postern::sim
