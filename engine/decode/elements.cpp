// SPDX-License-Identifier: Apache-2.0
#include "engine/decode/elements.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/conntrack/conntrack_view.h"
#include "engine/explain/explain.h"

namespace postern {
namespace {

using Elements = std::vector<DecodedElement>;

std::string number(std::uint64_t value) { return std::to_string(value); }

template <typename T>
T value_of(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof(T), bytes.size()));
  return value;
}

// Calls take(index, element) for every element of an array that is not all zero.
template <typename T, typename Take>
void each(const PolicyTables& tables, TableId table, Take take) {
  const auto bytes = tables.array(table);
  static constexpr std::array<std::byte, sizeof(T)> kZero{};
  for (std::size_t i = 0; (i + 1) * sizeof(T) <= bytes.size(); ++i) {
    const auto element = bytes.subspan(i * sizeof(T), sizeof(T));
    if (std::memcmp(element.data(), kZero.data(), sizeof(T)) == 0) continue;
    take(static_cast<std::uint32_t>(i), value_of<T>(element));
  }
}

// "0-79 deny, isolated; 80 allow, rule 7".
std::string runs_of(std::span<const std::uint32_t> steps) {
  std::string text;
  for (std::size_t first = 0; first < steps.size();) {
    std::size_t last = first;
    while (last + 1 < steps.size() && steps[last + 1] == steps[first]) ++last;
    text += (text.empty() ? "" : "; ") + number(first) + (last == first ? "" : "-" + number(last)) + " " +
            step_words(steps[first]);
    first = last + 1;
  }
  return text;
}

std::string flags_text(std::uint32_t flags, std::span<const char* const> names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((flags >> i & 1U) != 0) text += (text.empty() ? "" : " ") + std::string(names[i]);
  }
  return text.empty() ? "none" : text;
}

constexpr std::array<const char*, 6> kPodFlags{"connections-first", "keep-established", "spoof-check",
                                               "event-on-deny",     "event-on-new",     "event-on-all"};
constexpr std::array<const char*, 2> kDirFlags{"judged", "blocks"};
constexpr std::array<const char*, 1> kNodeFlags{"strict"};
constexpr std::array<const char*, PN_TIMEOUT_ICMP + 1> kTimeouts{
    "tcp-syn", "tcp-established", "tcp-fin", "tcp-closed", "tcp-rst", "udp", "udp-replied", "sctp", "icmp"};

DecodedElement slot_element(std::uint64_t slot) {
  return {"ifindex " + number(pn_slot_ifindex(slot)),
          {{"Judged", (slot & PN_SLOT_JUDGE) != 0 ? "yes" : "no"}, {"Pod record", number(pn_slot_record(slot))}}};
}

Elements node_elements(const PolicyTables& tables) {
  Elements out;
  each<pn_node>(tables, TableId::node, [&](std::uint32_t, const pn_node& node) {
    DecodedElement element{"node",
                           {{"Epoch", number(node.epoch)},
                            {"Flags", flags_text(node.flags, kNodeFlags)},
                            {"Host buckets", number(std::uint64_t{node.hosts_mask} + 1)},
                            {"Connection buckets", number(std::uint64_t{node.ct_mask} + 1)},
                            {"Tick shift", number(node.tick_shift)},
                            {"Last rule", number(node.last_rule)},
                            {"Monitor until tick", number(node.monitor_until)},
                            {"Monitored interface", number(node.monitor_ifindex)}}};
    for (std::size_t i = 0; i < kTimeouts.size(); ++i) {
      element.fields.emplace_back(std::string("Timeout ") + kTimeouts[i], number(node.timeouts[i]) + " ticks");
    }
    out.push_back(std::move(element));
  });
  return out;
}

Elements pod_elements(const PolicyTables& tables) {
  Elements out;
  each<pn_pod>(tables, TableId::pods, [&](std::uint32_t index, const pn_pod& pod) {
    DecodedElement element{"record " + number(index),
                           {{"Endpoint", number(pod.endpoint)},
                            {"Flags", flags_text(pod.flags, kPodFlags)},
                            {"IPv4", pod.v4 == 0 ? "none" : IpAddress::v4(pod.v4).to_string()},
                            {"IPv6", (pod.v6.high | pod.v6.low) == 0 ? "none" : address_of(pod.v6).to_string()}}};
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      const pn_pod_dir& dir = pod.dir[direction];
      element.fields.emplace_back(direction_name(direction),
                                  "row " + number(dir.row) + ", " + number(dir.row_len) + " classes, content " +
                                      number(dir.content) + ", " + flags_text(dir.flags, kDirFlags));
    }
    out.push_back(std::move(element));
  });
  return out;
}

Elements host_elements(const PolicyTables& tables) {
  Elements out;
  each<pn_hosts_bucket>(tables, TableId::hosts, [&](std::uint32_t index, const pn_hosts_bucket& bucket) {
    for (std::size_t way = 0; way < PN_HOSTS_WAYS; ++way) {
      if (bucket.words[way] == 0) continue;
      out.push_back({"bucket " + number(index) + " way " + number(way),
                     {{"Address", address_of(bucket.addresses[way]).to_string()},
                      {"Class", number(pn_low(bucket.words[way]))}}});
    }
  });
  return out;
}

Elements hash_elements(const PolicyTables& tables, TableId table) {
  Elements out;
  for (const auto& [key, value] : tables.hash(table)) {
    if (table == TableId::slots_far) {
      out.push_back(slot_element(value_of<std::uint64_t>(value)));
    } else {
      out.push_back({address_of(value_of<pn_address>(key)).to_string(),
                     {{"Class", number(value_of<std::uint32_t>(value))}}});
    }
  }
  return out;
}

// "10.3.0.0/16", "2001::/16".
std::string page_text(std::uint32_t page) {
  if (page < PN_IDX_PAGES) return IpAddress::v4(page << 16).to_string() + "/16";
  return address_of(pn_address{std::uint64_t{page - PN_IDX_PAGES} << 48, 0}).to_string() + "/16";
}

Elements page_elements(const PolicyTables& tables) {
  Elements out;
  each<std::uint64_t>(tables, TableId::idx, [&](std::uint32_t page, std::uint64_t word) {
    const std::uint32_t count = pn_high(word);
    out.push_back({page_text(page),
                   {count == 0 ? std::pair<std::string, std::string>("Class", number(pn_low(word)))
                               : std::pair<std::string, std::string>(
                                     "Segments", number(count) + " from " + number(pn_low(word)))}});
  });
  return out;
}

Elements segment_elements(const PolicyTables& tables) {
  Elements out;
  each<pn_segment>(tables, TableId::seg, [&](std::uint32_t index, const pn_segment& segment) {
    out.push_back({"segment " + number(index),
                   {{"From", address_of(segment.first).to_string()}, {"Class", number(segment.class_id)}}});
  });
  return out;
}

Elements body_elements(const PolicyTables& tables) {
  Elements out;
  each<pn_body>(tables, TableId::bodies, [&](std::uint32_t index, const pn_body& body) {
    DecodedElement element{"body " + number(index),
                           {{"TCP", step_words(body.tcp)},
                            {"UDP", step_words(body.udp)},
                            {"SCTP", step_words(body.sctp)},
                            {"Other protocols", step_words(body.other)}}};
    if (body.interval_protocol != 0) {
      element.fields.emplace_back("Interval", "protocol " + number(body.interval_protocol) + " ports " +
                                                  number(body.interval_lo) + "-" + number(body.interval_hi) + ": " +
                                                  step_words(body.interval_step));
    }
    out.push_back(std::move(element));
  });
  return out;
}

template <typename T>
Elements step_elements(const PolicyTables& tables, TableId table, const char* what) {
  Elements out;
  each<T>(tables, table, [&](std::uint32_t index, const T& element) {
    out.push_back({what + number(index), {{"Steps", runs_of(element.steps)}}});
  });
  return out;
}

}  // namespace

const char* direction_name(std::uint32_t direction) { return direction == PN_INGRESS ? "ingress" : "egress"; }

std::string step_words(std::uint32_t step) {
  if (pn_step_is_final(step) == 0) return "go on at " + number(pn_step_index(step));
  std::string verdict = pn_step_allows(step) != 0 ? "allow, " : "deny, ";
  if (pn_step_reason(step) == PN_REASON_WOULD_DENY) verdict += "would be denied, ";
  if (pn_step_said_rule(step) != 0) return verdict + "rule " + number(pn_step_said_rule(step));
  return verdict + std::string(reason_name(pn_step_said_reason(step)));
}

std::vector<DecodedElement> elements_of(const PolicyTables& tables, TableId table) {
  switch (table) {
    case TableId::node: return node_elements(tables);
    case TableId::slots: {
      Elements out;
      each<std::uint64_t>(tables, table, [&](std::uint32_t, std::uint64_t slot) { out.push_back(slot_element(slot)); });
      return out;
    }
    case TableId::pods: return pod_elements(tables);
    case TableId::hosts: return host_elements(tables);
    case TableId::slots_far:
    case TableId::hosts_far: return hash_elements(tables, table);
    case TableId::idx: return page_elements(tables);
    case TableId::seg: return segment_elements(tables);
    case TableId::rows: return step_elements<pn_row_chunk>(tables, table, "chunk ");
    case TableId::bodies: return body_elements(tables);
    case TableId::portdirs: return step_elements<pn_port_steps>(tables, table, "directory ");
    case TableId::portpages: return step_elements<pn_port_steps>(tables, table, "page ");
  }
  return {};
}

}  // namespace postern
