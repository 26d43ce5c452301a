// SPDX-License-Identifier: Apache-2.0
// The dumps of `postern ebpf`: a pod's projected maps, the table of connections, and every other table
// element by element.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "backends/tc/kernel_clock.h"
#include "cli/commands/node_ebpf.h"
#include "cli/commands/output.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/datapath/lifetime.h"
#include "engine/decode/elements.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

// What is printed of a dump, in both forms.
struct Dump {
  std::string text;
  Json entries = Json::array();
};

int print(const EbpfOptions& options, const Dump& dump) {
  if (options.node.json) {
    std::fputs((dump.entries.dump(2) + "\n").c_str(), stdout);
    return 0;
  }
  const std::string whole = dump.text + "Done reading all entries\n";
  std::fputs(dump.entries.empty() ? "No Entries found, Empty map\n" : whole.c_str(), stdout);
  return 0;
}

bool shows(const EbpfOptions& options, IpFamily family) {
  return options.names == EbpfNames::both || (options.names == EbpfNames::amazon_v4) == (family == IpFamily::v4);
}

// ---- a pod's policy ----

// As that agent stores an entry: no end port where there is one port, none at all where every port is meant.
struct BlockEntry {
  std::string protocol;
  std::uint16_t start = 0;
  std::uint16_t end = 0;
  std::uint32_t step = 0;
  std::string priority = {};  // of a policy of the whole cluster, with what it does; else empty
};

BlockEntry entry_of(const std::string& protocol, PortRange range, std::uint32_t step) {
  if (range.lo == 0 && range.hi == 65535) return {protocol, 0, 0, step};
  return {protocol, range.lo, range.hi == range.lo ? std::uint16_t{0} : range.hi, step};
}

// A prefix that allows nothing lies in one that does: there an entry of the protocol RESERVED (255) denies.
std::vector<BlockEntry> entries_of(const PeerAnswer& answer) {
  if (answer.denies_everything()) return {{"RESERVED", 0, 0, answer.icmp}};
  if (answer.allows_everything()) return {{"ANY PROTOCOL", 0, 0, answer.icmp}};
  std::vector<BlockEntry> entries;
  for (std::size_t i = 0; i < answer.ports.size(); ++i) {
    const std::string protocol(to_string(kAnsweredProtocols[i]));
    for (const auto& span : answer.ports[i]) {
      if (pn_step_allows(span.step) != 0) entries.push_back(entry_of(protocol, span.range, span.step));
    }
  }
  if (pn_step_allows(answer.icmp) != 0) entries.push_back({"ICMP", 0, 0, answer.icmp});
  return entries;
}

bool of_cluster_policy(std::uint32_t step) {
  const std::uint32_t reason = pn_step_reason(step);
  return reason == PN_REASON_RULE_ADMIN || reason == PN_REASON_RULE_BASELINE || reason == PN_REASON_DENIED_ADMIN ||
         reason == PN_REASON_DENIED_BASELINE;
}

// As that agent writes priority and action into one number: 10 times the priority, which is 2000 higher in the
// Baseline tier, and 0 for Deny, 1 for Accept. What only the agent knows is a "?" without its view.
std::string priority_of(const NodeState& node, std::uint32_t step) {
  const auto* rule = node.view ? node.view->rule(RuleId{pn_step_rule(step)}) : nullptr;
  if (rule == nullptr) return "?";
  const std::uint32_t priority = rule->priority + (rule->tier == Tier::baseline ? 2000U : 0U);
  return std::to_string(priority * 10 + (pn_step_allows(step) != 0 ? 1U : 0U));
}

// What policies of the whole cluster decide, denials too; Pass has no entry, as it decides nothing.
std::vector<BlockEntry> cluster_entries_of(const NodeState& node, const PeerAnswer& answer) {
  const auto one_step = [&](const auto& spans) { return spans.size() == 1 && spans.front().step == answer.icmp; };
  const bool one = answer.other == answer.icmp && std::all_of(answer.ports.begin(), answer.ports.end(), one_step);
  std::vector<BlockEntry> entries;
  const auto add = [&](BlockEntry entry) {
    if (!of_cluster_policy(entry.step)) return;
    entry.priority = priority_of(node, entry.step);
    entries.push_back(std::move(entry));
  };
  if (one) {
    add({"ANY PROTOCOL", 0, 0, answer.icmp});
    return entries;
  }
  for (std::size_t i = 0; i < answer.ports.size(); ++i) {
    for (const auto& span : answer.ports[i]) {
      add(entry_of(std::string(to_string(kAnsweredProtocols[i])), span.range, span.step));
    }
  }
  add({"ICMP", 0, 0, answer.icmp});
  return entries;
}

void add_block(const EbpfOptions& options, const NodeState& node, const Cidr& prefix,
               const std::vector<BlockEntry>& entries, Dump& dump) {
  constexpr const char* kLine = "-------------------\n";
  const bool in_text_layout = options.names != EbpfNames::amazon_v4;
  dump.text += in_text_layout ? fmt::format("Key : IP/Prefixlen - {} \n", prefix.to_string())
                              : fmt::format("Key: {}\n", prefix.to_string());
  Json listed = Json::array();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    dump.text += kLine;
    const std::string priority =
        entry.priority.empty() ? "" : fmt::format("Priority  - {}\n", entry.priority);  // one layout, as there
    dump.text += in_text_layout
                     ? fmt::format("Value Entry :  {}\nProtocol -  {}\n{}StartPort -  {}\nEndport -  {}\n", i,
                                   entry.protocol, priority, entry.start, entry.end)
                     : fmt::format("Entry {}:\nProtocol  - {}\n{}StartPort - {}\nEndPort   - {}\n", i, entry.protocol,
                                   priority, entry.start, entry.end);
    if (options.wide) dump.text += fmt::format("Rule -  {}\n", reason_words(node, entry.step));
    dump.text += kLine;
    Json one{{"protocol", entry.protocol},
             {"startPort", entry.start},
             {"endPort", entry.end},
             {"rule", reason_words(node, entry.step)}};
    if (!entry.priority.empty()) one["priority"] = entry.priority;
    listed.push_back(std::move(one));
  }
  dump.text += kDumpRule;
  dump.entries.push_back({{"key", prefix.to_string()}, {"entries", std::move(listed)}});
}

Dump policy_dump(const EbpfOptions& options, const NodeState& node, const pn_pod_dir& dir, bool cluster_policies) {
  Dump dump;
  const auto direction = node.decoder().direction(dir);
  for (const auto& prefix : direction.prefixes) {
    const auto& answer = direction.answers[prefix.answer];
    if (!shows(options, prefix.prefix.family())) continue;
    std::vector<BlockEntry> entries;
    if (cluster_policies) {
      entries = cluster_entries_of(node, answer);
    } else {
      // Without an entry everything is denied anyway.
      if (prefix.prefix.prefix_length() == 0 && answer.denies_everything()) continue;
      entries = entries_of(answer);
      std::erase_if(entries, [](const BlockEntry& entry) { return of_cluster_policy(entry.step); });
    }
    if (!entries.empty()) add_block(options, node, prefix.prefix, entries, dump);
  }
  return dump;
}

// Whether some answer has a step of these.
template <typename Predicate>
bool any_step(const DecodedDirection& direction, Predicate wanted) {
  return std::any_of(direction.answers.begin(), direction.answers.end(), [&](const PeerAnswer& answer) {
    const auto in_spans = [&](const auto& spans) {
      return std::any_of(spans.begin(), spans.end(), [&](const auto& span) { return wanted(span.step); });
    };
    return wanted(answer.icmp) || wanted(answer.other) ||
           std::any_of(answer.ports.begin(), answer.ports.end(), in_spans);
  });
}

// Key 0 is NetworkPolicy, key 1 cluster-wide policy. 0: policies apply, 1: none does, 2: nothing may pass. Where an
// Admin rule decides everything, no table says what is behind it; the agent's view does.
Dump state_dump(const NodeState& node, const NodePod& pod, std::uint32_t direction) {
  constexpr std::uint32_t kPoliciesApplied = 0;
  constexpr std::uint32_t kDefaultAllow = 1;
  constexpr std::uint32_t kDefaultDeny = 2;
  const auto decoded =
      pod.interface.judged ? node.decoder().direction(pod.interface.pod.dir[direction]) : DecodedDirection{};
  const auto has = [&](std::uint32_t reason) {
    return decoded.judged && any_step(decoded, [&](std::uint32_t step) { return pn_step_reason(step) == reason; });
  };
  std::uint32_t state = kDefaultAllow;
  if (has(PN_REASON_RULE) || has(PN_REASON_ISOLATED) ||
      (pod.viewed != nullptr && !pod.viewed->isolating[direction].empty())) {
    state = kPoliciesApplied;
  } else if (has(PN_REASON_STRICT)) {
    state = kDefaultDeny;
  }
  const std::uint32_t of_cluster =
      decoded.judged && any_step(decoded, of_cluster_policy) ? kPoliciesApplied : kDefaultAllow;
  Dump dump;
  for (const auto& [key, value] : {std::pair{0U, state}, std::pair{1U, of_cluster}}) {
    dump.text += fmt::format("Key :  {}\nState -  {}\n{}", key, value, kDumpRule);
    dump.entries.push_back({{"key", key}, {"state", value}});
  }
  return dump;
}

// ---- connections ----

// "3m12s", as Go prints a duration of whole seconds.
std::string age_text(std::int64_t seconds) {
  std::string text;
  if (seconds >= 3600) text += fmt::format("{}h", seconds / 3600);
  if (seconds >= 60) text += fmt::format("{}m", seconds / 60 % 60);
  return text + fmt::format("{}s", seconds % 60);
}

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

Result<Dump> connection_dump(const EbpfOptions& options, const NodeState& node) {
  const auto entries = node.pins.connections();
  if (!entries) return fail_as(entries);
  const auto pods = node.pods();
  if (!pods) return fail_as(pods);
  const auto now = tc::kernel_tick_now(node.decoder().node().tick_shift);
  if (!now) return fail_as(now);
  Dump dump;
  for (const auto& entry : *entries) {
    const ConnectionView connection = view_of(entry.key, entry.value);
    if (!shows(options, connection.opener.family())) continue;
    const auto pod = std::find_if(pods->begin(), pods->end(),
                                  [&](const NodePod& one) { return one.endpoint() == connection.endpoint; });
    std::string owner = "-";
    for (std::size_t i = 0; pod != pods->end() && i < pod->addresses.size(); ++i) {
      if (pod->addresses[i].family() == connection.opener.family()) owner = pod->addresses[i].to_string();
    }
    const std::uint32_t ifindex = pod == pods->end() ? 0 : pod->interface.ifindex;
    const std::int64_t idle_ns = std::int64_t{pn_ct_idle(&entry.value, *now)} * tc::kernel_tick_clock().tick_ns;
    const std::int64_t seen_ns = std::max<std::int64_t>(0, monotonic_ns() - idle_ns);
    dump.text += fmt::format(
        "Conntrack Key : Source IP - {} Source port - {} Dest IP - {} Dest port - {} Protocol - {} Owner IP - {} "
        "Ifindex - {}\nValue : \nConntrack Val -  {}\nLast Seen (ns) -  {}  ({} ago)\n",
        connection.opener.to_string(), connection.opener_port, connection.replier.to_string(), connection.replier_port,
        connection.protocol, owner, ifindex, 0, seen_ns, age_text(idle_ns / 1'000'000'000));
    if (options.wide) {
      dump.text += fmt::format("Pod - {} Admitted by - {}\n", node.endpoint_name(connection.endpoint),
                               reason_words(node, connection.step));
    }
    dump.text += kDumpRule;
    dump.entries.push_back({{"sourceIp", connection.opener.to_string()},
                            {"sourcePort", connection.opener_port},
                            {"destIp", connection.replier.to_string()},
                            {"destPort", connection.replier_port},
                            {"protocol", connection.protocol},
                            {"ownerIp", owner},
                            {"ifindex", ifindex},
                            {"value", 0},
                            {"lastSeenNs", seen_ns},
                            {"pod", node.endpoint_name(connection.endpoint)}});
  }
  return dump;
}

// ---- the tables as they are ----

void add_element(const DecodedElement& element, Dump& dump) {
  dump.text += fmt::format("Key :  {}\n", element.key);
  Json fields;
  for (const auto& [name, value] : element.fields) {
    dump.text += fmt::format("{} -  {}\n", name, value);
    fields[name] = value;
  }
  dump.text += kDumpRule;
  dump.entries.push_back({{"key", element.key}, {"fields", std::move(fields)}});
}

Result<Dump> counter_dump(const NodeState& node) {
  const auto counters = node.pins.counters();
  if (!counters) return fail_as(counters);
  Dump dump;
  for (std::uint32_t i = 0; i < counters->size(); ++i) {
    const pn_counter& counter = (*counters)[i];
    if (counter.packets == 0) continue;
    static constexpr std::array<const char*, 6> kOfNode{"events",         "events lost", "monitored", "monitored, lost",
                                                        "connections opened", "connections evicted"};
    const std::uint32_t own = i - 2 * PN_REASON_COUNT;
    const std::string key =
        i < 2 * PN_REASON_COUNT
            ? fmt::format("{} {}", direction_name(i / PN_REASON_COUNT),
                          step_words(i % PN_REASON_COUNT < PN_REASON_ISOLATED && i % PN_REASON_COUNT != 0
                                         ? pn_step_allow(i % PN_REASON_COUNT, 0)
                                         : pn_step_deny(i % PN_REASON_COUNT, 0)))
            : (own < kOfNode.size() ? kOfNode[own] : fmt::format("counter {}", i));
    add_element({key, {{"Packets", std::to_string(counter.packets)}, {"Bytes", std::to_string(counter.bytes)}}}, dump);
  }
  return dump;
}

Result<Dump> fragment_dump(const EbpfOptions& options, const NodeState& node) {
  const auto ways = node.pins.fragments();
  if (!ways) return fail_as(ways);
  Dump dump;
  for (const auto& way : *ways) {
    const IpAddress source = address_of(way.key.source);
    if (!shows(options, source.family())) continue;
    add_element({fmt::format("{} to {}, protocol {}, id {}", source.to_string(), address_of(way.key.destination).to_string(),
                             way.key.endpoint_protocol & 0xffu,
                             source.is_v4() ? ntohs(static_cast<std::uint16_t>(way.key.id)) : ntohl(way.key.id)),
                 {{"Pod", node.endpoint_name(EndpointId{way.key.endpoint_protocol >> 8})},
                  {"Direction", direction_name(way.direction)},
                  {"First fragment ends at", std::to_string(way.end)},
                  {"Admitted by", reason_words(node, way.step)}}},
                dump);
  }
  return dump;
}

Result<Dump> table_dump(const EbpfOptions& options, const NodeState& node, const std::string& name) {
  if (name == "pn_ct") return connection_dump(options, node);
  if (name == "pn_fragments") return fragment_dump(options, node);
  if (name == "pn_counters") return counter_dump(node);
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<TableId>(i);
    if ("pn_" + std::string(name_of(table)) != name) continue;
    Dump dump;
    for (const auto& element : elements_of(node.tables, table)) add_element(element, dump);
    return dump;
  }
  return fail(ErrorCode::unsupported, "map " + std::to_string(options.map_id) + " is the ring " + name +
                                          ": it is read as it fills, and has no entries to show");
}

struct Projected {
  NodePod pod;
  ProjectedMap map;
};

Result<Projected> projected(const NodeState& node, std::uint32_t id) {
  const std::uint32_t endpoint = (id - kFirstProjectedId) / 10;
  const std::uint32_t which = (id - kFirstProjectedId) % 10;
  const auto pods = node.pods();
  if (!pods) return fail_as(pods);
  const auto pod = std::find_if(pods->begin(), pods->end(),
                                [&](const NodePod& one) { return one.endpoint() == EndpointId{endpoint}; });
  if (pod != pods->end() && which < kProjectedMaps) return Projected{*pod, static_cast<ProjectedMap>(which)};
  return fail(ErrorCode::not_found, "map " + std::to_string(id) +
                                        ": no pod of this node has it; `postern ebpf loaded-ebpfdata` lists them");
}

Dump projected_dump(const EbpfOptions& options, const NodeState& node, const Projected& asked) {
  switch (asked.map) {
    case ProjectedMap::ingress_map: return policy_dump(options, node, asked.pod.interface.pod.dir[PN_INGRESS], false);
    case ProjectedMap::egress_map: return policy_dump(options, node, asked.pod.interface.pod.dir[PN_EGRESS], false);
    case ProjectedMap::cp_ingress_map: return policy_dump(options, node, asked.pod.interface.pod.dir[PN_INGRESS], true);
    case ProjectedMap::cp_egress_map: return policy_dump(options, node, asked.pod.interface.pod.dir[PN_EGRESS], true);
    case ProjectedMap::ingress_pod_state_map: return state_dump(node, asked.pod, PN_INGRESS);
    case ProjectedMap::egress_pod_state_map: return state_dump(node, asked.pod, PN_EGRESS);
  }
  return {};
}

Result<Dump> dump_of(const EbpfOptions& options, const NodeState& node) {
  if (options.map_id >= kFirstProjectedId) {
    const auto asked = projected(node, options.map_id);
    if (!asked) return fail_as(asked);
    return projected_dump(options, node, *asked);
  }
  const auto objects = node.pins.objects();
  if (!objects) return fail_as(objects);
  for (const auto& object : *objects) {
    if (!object.is_program && object.id == options.map_id) {
      return table_dump(options, node, object.pin.substr(object.pin.rfind('/') + 1));
    }
  }
  return fail(ErrorCode::not_found, "map " + std::to_string(options.map_id) +
                                        " is none of Postern's: `postern ebpf loaded-ebpfdata --wide` lists those; "
                                        "of others, bpftool map dump id " +
                                        std::to_string(options.map_id));
}

}  // namespace

int run_ebpf_dump(const EbpfOptions& options) {
  const auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  const auto dump = dump_of(options, *node);
  return dump ? print(options, *dump) : refuse(dump.error().to_string());
}

int run_ebpf_dump_cluster_policy(const EbpfOptions& options) {
  const auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  const bool is_real = options.map_id < kFirstProjectedId;
  const auto asked = projected(*node, options.map_id);
  if (is_real || (asked && asked->map != ProjectedMap::cp_ingress_map && asked->map != ProjectedMap::cp_egress_map)) {
    return refuse("map " + std::to_string(options.map_id) +
                  " holds no cluster-wide policy of a pod: expected the id of a cp_ingress_map or cp_egress_map of "
                  "`postern ebpf loaded-ebpfdata`");
  }
  if (!asked) return refuse(asked.error().to_string());
  return print(options, projected_dump(options, *node, *asked));
}

}  // namespace postern::cli
