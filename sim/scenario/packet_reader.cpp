// SPDX-License-Identifier: Apache-2.0
// Single packets. Everything the format knows is read and checked.
#include <algorithm>
#include <array>

#include "sim/scenario/parts.h"

namespace postern::sim {

namespace {

// The public names of reasons, a closed list.
constexpr std::array<std::string_view, 19> kReasons{
    "not-isolated", "rule",       "established",    "related",  "self",      "own-node", "always",
    "grace",        "would-deny", "isolated",       "denied",   "strict",    "backends-differ",
    "no-backend",   "spoofed-source", "fragment",   "malformed", "protocol", "ethertype"};

std::uint16_t u16(std::optional<std::int64_t> number) {
  return static_cast<std::uint16_t>(number.value_or(0));
}

// A required number that fills 8 or 16 bits.
std::uint16_t field(const Report& report, const Value& part, std::string_view name, std::string_view key,
                    std::int64_t most = 65535) {
  if (required(report, part, name, key) == nullptr) return 0;
  return u16(number_at(report, &part, key, 0, most));
}

TcpPart read_tcp(const Report& report, const Value& part) {
  only_keys(report, part, "tcp", {"sport", "dport", "flags", "seq", "ack"});
  TcpPart tcp;
  tcp.sport = field(report, part, "tcp", "sport");
  tcp.dport = field(report, part, "tcp", "dport");
  const auto number = [&](std::string_view key, std::uint32_t otherwise) {
    return static_cast<std::uint32_t>(number_at(report, &part, key, 0, 0xffffffff).value_or(otherwise));
  };
  tcp.sequence = number("seq", tcp.sequence);
  tcp.acknowledgement = number("ack", tcp.acknowledgement);
  const Value* flags = required(report, part, "tcp", "flags");
  if (flags == nullptr) return tcp;
  const bool letters =
      flags->kind == manifest::Kind::string && flags->text.find_first_not_of("FSRPAU") == std::string::npos;
  if (!letters) report.unexpected(*flags, "flags", "letters of FSRPAU");
  tcp.flags = flags->text;
  return tcp;
}

UdpPart read_udp(const Report& report, const Value& part) {
  only_keys(report, part, "udp", {"sport", "dport"});
  return {field(report, part, "udp", "sport"), field(report, part, "udp", "dport")};
}

SctpPart read_sctp(const Report& report, const Value& part) {
  only_keys(report, part, "sctp", {"sport", "dport", "chunk"});
  SctpPart sctp{field(report, part, "sctp", "sport"), field(report, part, "sctp", "dport"), {}};
  required(report, part, "sctp", "chunk");
  if (word_at(report, &part, "chunk", {"INIT", "INIT-ACK", "DATA", "ABORT", "SHUTDOWN"})) {
    sctp.chunk = part.find("chunk")->text;
  }
  return sctp;
}

IcmpPart read_icmp(const Report& report, const Value& part) {
  IcmpPart icmp;
  icmp.type = static_cast<std::uint8_t>(field(report, part, "icmp", "type", 255));
  icmp.code = static_cast<std::uint8_t>(number_at(report, &part, "code", 0, 255).value_or(0));
  icmp.id = u16(number_at(report, &part, "id", 0, 65535));
  return icmp;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Pairs of digits, spaces between pairs allowed.
std::optional<std::vector<std::uint8_t>> hex_bytes(const Value& value) {
  // A plain 00112233 reads as a number, and its text is what was written.
  if (!value.is_scalar()) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  const std::string& text = value.text;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == '\n') {
      ++i;
      continue;
    }
    const int high = hex_digit(text[i]);
    const int low = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
    i += 2;
  }
  return bytes;
}

std::vector<std::uint8_t> read_hex(const Report& report, const Value& mapping, std::string_view key,
                                   std::size_t least, std::size_t most) {
  const Value* value = mapping.find(key);
  if (value == nullptr) return {};
  auto bytes = hex_bytes(*value);
  if (bytes && bytes->size() >= least && bytes->size() <= most) return std::move(*bytes);
  report.unexpected(*value, key,
                    "hex digits of " + std::to_string(least) + " to " + std::to_string(most) + " bytes");
  return {};
}

IpPart read_ip(const Report& report, const Value& part) {
  only_keys(report, part, "ip", {"protocol"});
  return IpPart{static_cast<std::uint8_t>(field(report, part, "ip", "protocol", 255))};
}

// The one of these keys that the packet has, with a value that is no null; reported otherwise.
std::string_view content_of(const Report& report, const Value& packet, std::string_view what,
                            std::initializer_list<std::string_view> keys) {
  std::vector<std::string_view> found;
  for (const auto key : keys) {
    if (packet.find(key) != nullptr) found.push_back(key);
  }
  if (found.size() == 1) return found[0];
  const std::string expected = found.empty() ? " has no content, expected one of " + join(keys)
                                             : " has " + std::string(found[0]) + " and " +
                                                   std::string(found[1]) + ", expected one of them";
  report.error(packet, std::string(what) + expected);
  return {};
}

std::optional<QuotedPacket> read_quotes(const Report& report, const Value& icmp, ScenarioFamily family) {
  if (icmp.find("quotes") == nullptr) return std::nullopt;
  const Value* quotes = mapping_at(report, &icmp, "quotes");
  if (quotes == nullptr) return std::nullopt;
  const std::size_t errors_before = report.errors.size();
  only_keys(report, *quotes, "quotes", {"from", "to", "tcp", "udp", "sctp", "icmp", "ip"});
  const Value* from = required(report, *quotes, "quotes", "from");
  const Value* to = required(report, *quotes, "quotes", "to");
  const auto from_end = read_end(report, *quotes, "from", family);
  const auto to_end = read_end(report, *quotes, "to", family);
  const auto name = content_of(report, *quotes, "quotes", {"tcp", "udp", "sctp", "icmp", "ip"});
  const Value* part = name.empty() ? nullptr : mapping_at(report, quotes, name);
  if (part == nullptr) return std::nullopt;
  QuotedPacket quoted;
  if (name == "tcp") quoted.part = read_tcp(report, *part);
  if (name == "udp") quoted.part = read_udp(report, *part);
  if (name == "sctp") quoted.part = read_sctp(report, *part);
  if (name == "ip") quoted.part = read_ip(report, *part);
  if (name == "icmp") {
    only_keys(report, *part, "icmp", {"type", "code", "id"});
    quoted.part = read_icmp(report, *part);
  }
  if (report.errors.size() != errors_before || !from_end || !to_end) return std::nullopt;
  quoted.from_text = from->text;
  quoted.to_text = to->text;
  quoted.from = *from_end;
  quoted.to = *to_end;
  return quoted;
}

std::optional<PacketPart> read_part(const Report& report, const Value& packet, PacketLine& line,
                                    ScenarioFamily family) {
  const auto name = content_of(report, packet, "a packet", {"tcp", "udp", "sctp", "icmp", "ip", "frame"});
  if (name.empty()) return std::nullopt;
  if (name == "frame") return FramePart{read_hex(report, packet, "frame", 14, 65535)};
  const Value* part = mapping_at(report, &packet, name);
  if (part == nullptr) return std::nullopt;
  if (name == "tcp") return read_tcp(report, *part);
  if (name == "udp") return read_udp(report, *part);
  if (name == "sctp") return read_sctp(report, *part);
  if (name == "ip") return read_ip(report, *part);
  only_keys(report, *part, "icmp", {"type", "code", "id", "quotes"});
  line.quotes = read_quotes(report, *part, family);
  return read_icmp(report, *part);
}

void read_expectation(const Report& report, const Value& packet, PacketExpectation& expect) {
  if (required(report, packet, "a packet", "expect") == nullptr) return;
  const Value* written = mapping_at(report, &packet, "expect");
  if (written == nullptr) return;
  only_keys(report, *written, "expect", {"verdict", "reason", "policy", "rule", "at"});
  static constexpr std::array<std::string_view, 4> kCompared{"verdict", "reason", "policy", "rule"};
  const bool compares = std::any_of(kCompared.begin(), kCompared.end(),
                                    [&](std::string_view key) { return written->find(key) != nullptr; });
  if (!compares) report.error(*written, "expect compares nothing, expected a verdict, reason, policy or rule");
  if (const auto verdict = word_at(report, written, "verdict", {"deny", "allow"})) {
    expect.verdict = static_cast<Expectation>(*verdict);
  }
  if (const Value* reason = written->find("reason")) {
    const bool known = std::find(kReasons.begin(), kReasons.end(), reason->text) != kReasons.end();
    if (reason->kind == manifest::Kind::string && known) {
      expect.reason = reason->text;
    } else {
      std::string names;
      for (const auto name : kReasons) names += (names.empty() ? "" : ", ") + std::string(name);
      report.unexpected(*reason, "reason", "one of " + names);
    }
  }
  expect.policy = string_at(report, written, "policy");
  if (const auto rule = number_at(report, written, "rule", 0, 0xffffff)) {
    expect.rule = static_cast<std::uint32_t>(*rule);
  }
  expect.at_from = word_at(report, written, "at", {"to", "from"}, 0) == std::size_t{1};
  expect.at_written = written != nullptr && written->find("at") != nullptr;
}

void read_fragment(const Report& report, const Value& packet, PacketLine& line, ScenarioFamily family) {
  const Value* written = mapping_at(report, &packet, "fragment");
  if (written == nullptr) return;
  only_keys(report, *written, "fragment", {"id", "offset", "more"});
  FragmentPart fragment;
  const std::int64_t largest_id = family == ScenarioFamily::v4 ? 0xffff : 0xffffffff;
  fragment.id = static_cast<std::uint32_t>(number_at(report, written, "id", 0, largest_id).value_or(0));
  fragment.offset = u16(number_at(report, written, "offset", 0, 65528));
  if (fragment.offset % 8 != 0) {
    report.unexpected(*written->find("offset"), "offset", "a multiple of 8 bytes");
  }
  fragment.more = boolean_at(report, written, "more").value_or(false);
  line.fragment = fragment;
}

void read_vlan(const Report& report, const Value& packet, PacketLine& line) {
  for (const Value* tag : list_at(report, &packet, "vlan")) {
    const auto number = tag->kind == manifest::Kind::integer ? manifest::integer_of(*tag) : std::nullopt;
    if (number && *number >= 0 && *number <= 4095) {
      line.vlan.push_back(static_cast<std::uint16_t>(*number));
    } else {
      report.unexpected(*tag, "vlan", "a number from 0 to 4095");
    }
  }
}

void read_extensions(const Report& report, const Value& packet, PacketLine& line) {
  static constexpr std::array<std::string_view, 3> kNames{"hop-by-hop", "destination", "routing"};
  for (const Value* each : list_at(report, &packet, "extensions")) {
    const auto name = std::find(kNames.begin(), kNames.end(), each->text);
    if (each->kind == manifest::Kind::string && name != kNames.end()) {
      line.extensions.push_back(static_cast<ExtensionHeader>(name - kNames.begin()));
    } else {
      report.unexpected(*each, "extensions", "hop-by-hop, destination or routing");
    }
  }
}

// Parts of a header that only one family has.
void check_family(const Report& report, const Value& packet, ScenarioFamily family) {
  const bool v4 = family == ScenarioFamily::v4;
  const Value* other = packet.find(v4 ? "extensions" : "options");
  if (other == nullptr || family == ScenarioFamily::dual) return;
  report.unexpected(*other, v4 ? "extensions" : "options",
                    v4 ? "none in an IPv4 packet" : "none in an IPv6 packet, which has extensions");
}

// What stands around the content.
void read_envelope(const Report& report, const Value& packet, PacketLine& line, ScenarioFamily family) {
  if (const Value* source = packet.find("source")) {
    line.source = manifest::address_of(report, *source, "source");
    if (line.source) check_family(report, *source, "source", *line.source, family);
  }
  read_vlan(report, packet, line);
  line.ip_options = read_hex(report, packet, "options", 4, 40);
  if (line.ip_options.size() % 4 != 0) {
    report.unexpected(*packet.find("options"), "options", "whole words of 4 bytes");
  }
  read_extensions(report, packet, line);
  check_family(report, packet, family);
  read_fragment(report, packet, line, family);
  if (const auto length = number_at(report, &packet, "length", 0, 65535)) {
    line.length = static_cast<std::uint32_t>(*length);
  }
  if (packet.find("frame") == nullptr) return;
  for (const auto key : {"source", "vlan", "options", "extensions", "fragment"}) {
    if (const Value* value = packet.find(key)) {
      report.unexpected(*value, key, "none beside frame, which is whole");
    }
  }
}

}  // namespace

std::optional<PacketLine> read_packet(const Report& report, const Value& packet, ScenarioFamily family) {
  only_keys(report, packet, "a packet",
            {"at", "from", "to", "tcp", "udp", "sctp", "icmp", "ip", "frame", "source", "vlan", "options",
             "extensions", "fragment", "length", "expect"});
  PacketLine line;
  line.location = report.at(packet);
  line.at = duration_at(report, &packet, "at").value_or(Duration{});
  const Value* from = required(report, packet, "a packet", "from");
  const Value* to = required(report, packet, "a packet", "to");
  const auto from_end = read_end(report, packet, "from", family);
  const auto to_end = read_end(report, packet, "to", family);
  auto part = read_part(report, packet, line, family);
  read_envelope(report, packet, line, family);
  read_expectation(report, packet, line.expect);
  if (from == nullptr || to == nullptr || !from_end || !to_end || !part) return std::nullopt;
  line.from_text = from->text;
  line.to_text = to->text;
  line.from = *from_end;
  line.to = *to_end;
  line.part = std::move(*part);
  return line;
}

}  // namespace postern::sim
