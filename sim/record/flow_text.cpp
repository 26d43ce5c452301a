// SPDX-License-Identifier: Apache-2.0
#include "sim/record/flow_text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace postern::sim {

namespace {

using nlohmann::json;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// As the commands spell it; none: no protocol.
std::optional<std::string> protocol_word(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (upper == "ICMPV6") return "ICMP";
  for (const auto* known : {"TCP", "UDP", "SCTP", "ICMP"}) {
    if (upper == known) return upper;
  }
  return std::nullopt;
}

struct EndText {
  std::string name;
  std::string port;
};

constexpr std::string_view kEnds = "expected 'SRC -> DST:PORT/PROTOCOL'";

tl::unexpected<Error> refuse(std::string_view text, const std::string& why) {
  return fail(ErrorCode::invalid_input, "\"" + std::string(text) + "\": " + why);
}

Result<EndText> end_text(std::string_view text) {
  if (text.empty()) return fail(ErrorCode::invalid_input, "found an end without a name, " + std::string(kEnds));
  if (text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return refuse(text, "found [ without ], expected [ADDRESS]:PORT");
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return refuse(text, "found text after ], expected [ADDRESS]:PORT");
    return EndText{std::string(text.substr(1, close - 1)), std::string(rest.empty() ? rest : rest.substr(1))};
  }
  if (IpAddress::parse(text)) return EndText{std::string(text), {}};
  std::size_t prefix = 0;
  for (const std::string_view known : {"service:", "node:"}) {
    if (text.substr(0, known.size()) == known) prefix = known.size();
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon < prefix) return EndText{std::string(text), {}};
  if (colon + 1 == text.size()) return refuse(text, "found no port after :, expected a number or a name");
  return EndText{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

// The text between a label and the next separator; none: the label is not there.
std::optional<std::string> field_after(std::string_view text, std::string_view label) {
  const auto found = text.find(label);
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(found + label.size());
  if (!rest.empty() && rest.front() == ':') rest.remove_prefix(1);
  rest = trimmed(rest);
  return std::string(rest.substr(0, rest.find_first_of(" ,;\"")));
}

// Where each form has what.
struct FieldLabels {
  std::string_view source, source_port, destination, destination_port, protocol, verdict, direction;
};
constexpr FieldLabels kLogLabels{"Src IP", "Src Port", "Dest IP", "Dest Port", "Proto", "Verdict", "Direction"};
constexpr FieldLabels kCloudWatchLabels{";SIP", ";SPORT", ";DIP", ";DPORT", ";PROTOCOL", ";PolicyVerdict", ";Direction"};

// A record's fields, in one form for all kinds of record.
struct Fields {
  std::optional<std::string> source, source_port, destination, destination_port, protocol, verdict, direction, when;
};

std::optional<std::string> value_of(const json& object, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found == object.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number_unsigned()) return std::to_string(found->get<std::uint64_t>());
  }
  return std::nullopt;
}

Fields fields_of(std::string_view text, const FieldLabels& labels) {
  return {field_after(text, labels.source),
          field_after(text, labels.source_port),
          field_after(text, labels.destination),
          field_after(text, labels.destination_port),
          field_after(text, labels.protocol),
          field_after(text, labels.verdict),
          field_after(text, labels.direction),
          std::nullopt};
}

std::optional<Fields> fields_of_text(std::string_view text) {
  if (text.find("Flow Info:") != std::string_view::npos) return fields_of(text, kLogLabels);
  if (text.find(";SIP:") != std::string_view::npos) return fields_of(text, kCloudWatchLabels);
  return std::nullopt;
}

std::optional<Fields> fields_of_json(const json& object) {
  const auto when = value_of(object, {"ts", "timestamp", "time"});
  for (const auto* name : {"msg", "message"}) {
    const auto text = value_of(object, {name});
    auto fields = text ? fields_of_text(*text) : std::nullopt;
    if (!fields) continue;
    fields->when = when;
    return fields;
  }
  Fields fields{value_of(object, {"src_ip", "src"}),          value_of(object, {"src_port", "sport"}),
                value_of(object, {"dst_ip", "dst", "dest_ip"}), value_of(object, {"dst_port", "dport", "dest_port"}),
                value_of(object, {"protocol", "proto"}),      value_of(object, {"verdict"}),
                value_of(object, {"direction"}),              when};
  if (!fields.source && !fields.destination) return std::nullopt;
  return fields;
}

Result<void> need_address(const std::optional<std::string>& text, const char* which) {
  if (text && IpAddress::parse(*text)) return {};
  return fail(ErrorCode::invalid_input, std::string("the record's ") + which + " address: found " +
                                            (text ? "\"" + *text + "\"" : "none") + ", expected an address");
}

Result<FlowText> flow_of(const Fields& fields) {
  if (auto checked = need_address(fields.source, "source"); !checked) return fail_as(checked);
  if (auto checked = need_address(fields.destination, "destination"); !checked) return fail_as(checked);
  FlowText flow;
  flow.from = *fields.source;
  flow.to = *fields.destination;
  const std::string protocol = fields.protocol.value_or("");
  if (const auto word = protocol_word(protocol)) {
    flow.protocol = *word;
  } else if (is_number(protocol)) {
    flow.protocol = protocol;
  } else {
    return fail(ErrorCode::invalid_input, "the record's protocol: found \"" + protocol +
                                              "\", expected TCP, UDP, SCTP, ICMP or a number");
  }
  const bool has_ports = flow.protocol != "ICMP" && !is_number(flow.protocol);
  if (has_ports) {
    flow.port = fields.destination_port.value_or("");
    if (!is_number(flow.port)) {
      return fail(ErrorCode::invalid_input,
                  "the record's destination port: found \"" + flow.port + "\", expected a number");
    }
  }
  const std::string verdict = fields.verdict.value_or("");
  if (verdict == "DENY" || verdict == "deny") flow.allowed = false;
  if (verdict == "ACCEPT" || verdict == "allow") flow.allowed = true;
  if (fields.direction == "ingress") flow.direction = Direction::ingress;
  if (fields.direction == "egress") flow.direction = Direction::egress;
  flow.when = fields.when.value_or("");
  // It is shown in a file's first lines.
  std::erase_if(flow.when, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return flow;
}

}  // namespace

bool has_ports(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(Protocol::tcp) || protocol == static_cast<std::uint8_t>(Protocol::udp) ||
         protocol == static_cast<std::uint8_t>(Protocol::sctp);
}

Result<FlowText> parse_flow(std::string_view text) {
  const auto arrow = text.find("->");
  if (arrow == std::string_view::npos) return refuse(text, "found no ->, " + std::string(kEnds));
  FlowText flow;
  std::string_view right = trimmed(text.substr(arrow + 2));
  if (right.find("->") != std::string_view::npos) return refuse(text, "found two ->, " + std::string(kEnds));
  const auto slash = right.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? std::string_view{} : right.substr(slash + 1);
  if (const auto protocol = protocol_word(last)) {
    flow.protocol = *protocol;
    right = trimmed(right.substr(0, slash));
  } else if (is_number(last)) {
    flow.protocol = std::string(last);
    right = trimmed(right.substr(0, slash));
  }
  const auto from = end_text(trimmed(text.substr(0, arrow)));
  if (!from) return fail_as(from);
  // The client's port decides nothing; lines that are pasted have it.
  if (!from->port.empty() && !is_number(from->port)) {
    return refuse(text, "found the source port \"" + from->port + "\", expected a number or none");
  }
  const auto to = end_text(right);
  if (!to) return fail_as(to);
  flow.from = from->name;
  flow.to = to->name;
  flow.port = to->port;
  return flow;
}

Result<FlowText> parse_flow_record(std::string_view line) {
  const std::string_view text = trimmed(line);
  std::optional<Fields> fields;
  if (!text.empty() && text.front() == '{') {
    const json object = json::parse(text, nullptr, false);
    if (object.is_discarded()) return fail(ErrorCode::invalid_input, "the record is no JSON, expected one object");
    fields = fields_of_json(object);
  } else {
    fields = fields_of_text(text);
  }
  if (fields) return flow_of(*fields);
  return fail(ErrorCode::invalid_input,
              "found no flow in the record, expected \"Flow Info: Src IP: …\", \"…;SIP: …\" or JSON with src_ip, "
              "dst_ip, dst_port and protocol");
}

}  // namespace postern::sim
