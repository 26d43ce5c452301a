// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_text.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "agent/log/json_line.h"
#include "engine/explain/explain.h"

namespace postern::agent {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58, kSctp = 132, kAny = 254, kReserved = 255;

// The Amazon agent has no audit, and no word for it.
std::string_view compat_verdict(const FlowRecord& record) {
  if (!record.would_deny.empty()) return "WOULD_DENY";
  return record.allowed ? "ACCEPT" : "DENY";
}

// Where there are names for everything.
std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp: return "TCP";
    case kUdp: return "UDP";
    case kSctp: return "SCTP";
    case kIcmp: return "ICMP";
    case kIcmpV6: return "ICMPv6";
    default: return std::to_string(protocol);
  }
}

std::string tcp_flag_names(std::uint8_t flags) {
  constexpr std::array<std::string_view, 8> kNames{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
  std::string text;
  for (std::size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((flags >> bit & 1u) == 0) continue;
    if (!text.empty()) text += '|';
    text += kNames[bit];
  }
  return text;
}

// Members of a JSON object, one after the other.
class Members {
 public:
  void text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    fmt::format_to(std::back_inserter(out_), R"(,"{}":{})", key, json_string(value));
  }
  // Of letters that JSON takes as they are.
  void word(std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out_), R"(,"{}":"{}")", key, value);
  }
  void number(std::string_view key, std::uint64_t value) {
    fmt::format_to(std::back_inserter(out_), R"(,"{}":{})", key, value);
  }
  void end(const FlowEnd& end, std::string_view side, bool ports) {
    word(std::string(side) + "_ip", end.address.to_string());
    if (ports) number(std::string(side) + "_port", end.port);
    text(std::string(side) + "_namespace", end.pod.ns);
    text(std::string(side) + "_pod", end.pod.name);
    text(std::string(side) + "_workload", end.workload);
  }
  void names(std::string_view key, const std::vector<NamespacedName>& names) {
    if (names.empty()) return;
    fmt::format_to(std::back_inserter(out_), R"(,"{}":[)", key);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i != 0) out_.push_back(',');
      fmt::format_to(std::back_inserter(out_), "{}", json_string(names[i].to_string()));
    }
    out_.push_back(']');
  }
  fmt::memory_buffer& out() { return out_; }

 private:
  fmt::memory_buffer out_;
};

}  // namespace

LogLevel level_of(const FlowRecord& record) {
  return record.allowed && record.would_deny.empty() ? LogLevel::debug : LogLevel::info;
}

std::string_view compat_protocol(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp: return "TCP";
    case kUdp: return "UDP";
    case kSctp: return "SCTP";
    case kIcmp: return "ICMP";
    case kReserved: return "RESERVED";
    case kAny: return "ANY PROTOCOL";
    default: return "UNKNOWN";
  }
}

std::string compat_message(const FlowRecord& record) {
  const auto source = record.source.address.to_string();
  const auto destination = record.destination.address.to_string();
  if (record.family == 6) {
    return fmt::format(
        "Flow Info: Src IP: {} Src Port: {} Dest IP: {} Dest Port: {} Proto: {} Verdict: {} Direction: {} Tier: {}",
        source, record.source.port, destination, record.destination.port, compat_protocol(record.protocol),
        compat_verdict(record), to_string(record.direction), tier_name(record.tier));
  }
  return fmt::format(
      "Flow Info: Src IP: {} Src Port: {} Dest IP: {} Dest Port: {} Proto {} Verdict {} Direction {}, Tier {}", source,
      record.source.port, destination, record.destination.port, compat_protocol(record.protocol),
      compat_verdict(record), to_string(record.direction), tier_name(record.tier));
}

std::string cloudwatch_message(const FlowRecord& record) {
  return fmt::format("Node: {};SIP: {};SPORT: {};DIP: {};DPORT: {};PROTOCOL: {};PolicyVerdict: {};Tier: {}",
                     record.node, record.source.address.to_string(), record.source.port,
                     record.destination.address.to_string(), record.destination.port,
                     compat_protocol(record.protocol), compat_verdict(record), tier_name(record.tier));
}

std::string json_flow_line(const FlowRecord& record) {
  Members members;
  const bool icmp = record.protocol == kIcmp || record.protocol == kIcmpV6;
  const bool ports = record.protocol == kTcp || record.protocol == kUdp || record.protocol == kSctp;
  fmt::format_to(std::back_inserter(members.out()), R"({{"level":"{}","ts":"{}","msg":"flow")",
                 to_string(level_of(record)),
                 log_time(record.unix_ns / 1'000'000));
  members.text("node", record.node);
  members.word("direction", to_string(record.direction));
  members.word("verdict", record.allowed ? "allow" : "deny");
  members.word("tier", tier_name(record.tier));
  members.text("reason", reason_name(record.reason));
  members.text("would_deny", record.would_deny);
  members.number("family", record.family);
  if (record.family != 0) {
    members.word("protocol", protocol_name(record.protocol));
    members.end(record.source, "src", ports);
    members.end(record.destination, "dst", ports);
  }
  if (icmp) {
    members.number("icmp_type", record.icmp_type);
    members.number("icmp_code", record.icmp_code);
  }
  if (record.protocol == kTcp) members.text("tcp_flags", tcp_flag_names(record.tcp_flags));
  if (record.rule) {
    members.text("policy_namespace", record.rule->policy.key.ns);
    members.text("policy", record.rule->policy.key.name);
    members.number("rule", record.rule->rule);
  }
  members.names("isolated_by", record.isolating);
  members.text("interface", record.interface);
  members.number("ifindex", record.ifindex);
  members.number("bytes", record.bytes);
  members.number("cpu", record.cpu);
  members.number("sequence", record.sequence);
  members.number("suppressed", record.suppressed);
  members.out().push_back('}');
  return fmt::to_string(members.out());
}

}  // namespace postern::agent
