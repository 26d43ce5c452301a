// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "backends/native/native_backend.h"
#include "backends/tc/trial.h"
#include "cli/commands/cluster.h"
#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/decode/elements.h"
#include "engine/explain/explain.h"
#include "sim/packet/packet.h"
#include "sim/replay/explanation_json.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

struct End {
  std::string name;           // "shop/a", or the address
  IpAddress address;
  std::optional<NodePod> pod;  // of this node
};

struct Hop {
  std::uint32_t direction = PN_INGRESS;  // of the pod
  NodePod pod;
  Classified kernel;
  Classified engine;
  bool same_program = true;
};

struct Trace {
  End from;
  End to;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::vector<Hop> hops;  // up to the one that drops it
  std::optional<Explanation> objects;
  [[nodiscard]] bool allowed() const {
    return std::all_of(hops.begin(), hops.end(), [](const Hop& hop) { return hop.kernel.allow; });
  }
};

Result<std::uint8_t> protocol_of(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp}) {
    if (text == to_string(protocol)) return static_cast<std::uint8_t>(protocol);
  }
  return fail(ErrorCode::invalid_input, "protocol \"" + text + "\": expected TCP, UDP, SCTP or ICMP");
}

// Every address that an end can have, with the interface where it is one of this node.
Result<std::vector<End>> ends_of(const NodeState& node, const ClusterSnapshot* objects, const std::string& text) {
  const auto pods = node.pods();
  if (!pods) return fail_as(pods);
  const auto address = IpAddress::parse(text);
  std::vector<End> ends;
  for (const auto& pod : *pods) {
    for (const auto& own : pod.addresses) {
      if (pod.name == text || (address && own == *address)) ends.push_back({pod.name, own, pod});
    }
  }
  if (!ends.empty()) return ends;
  if (address) return std::vector<End>{{text, *address, std::nullopt}};
  const auto slash = text.find('/');
  if (objects != nullptr && slash != std::string::npos) {
    const auto elsewhere = objects->pods.find({text.substr(0, slash), text.substr(slash + 1)});
    if (elsewhere != objects->pods.end()) {
      for (const auto& own : elsewhere->second.addresses) ends.push_back({text, own, std::nullopt});
    }
  }
  if (!ends.empty()) return ends;
  return fail(ErrorCode::not_found,
              text + " is no address, and no pod that this node knows an address of; give its address");
}

Result<void> choose_family(const std::vector<End>& from, const std::vector<End>& to, const std::string& wanted,
                           Trace& trace) {
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    if (!wanted.empty() && (wanted == "IPv4") != (family == IpFamily::v4)) continue;
    const auto has_it = [&](const End& end) { return end.address.family() == family; };
    const auto source = std::find_if(from.begin(), from.end(), has_it);
    const auto target = std::find_if(to.begin(), to.end(), has_it);
    if (source == from.end() || target == to.end()) continue;
    trace.from = *source;
    trace.to = *target;
    return {};
  }
  return fail(ErrorCode::invalid_input, "both ends have no address of " + (wanted.empty() ? "one family" : wanted));
}

std::vector<std::byte> frame_of(const Trace& trace, std::uint16_t source_port) {
  using namespace packet;
  const IpAddress& from = trace.from.address;
  const IpAddress& to = trace.to.address;
  Packet packet = from.is_v4() ? Ethernet{} / Ipv4{.source = from, .destination = to}
                               : Ethernet{} / Ipv6{.source = from, .destination = to};
  switch (static_cast<Protocol>(trace.protocol)) {
    case Protocol::tcp: packet.append(Tcp{.source_port = source_port, .destination_port = trace.port}); break;
    case Protocol::udp: packet.append(Udp{.source_port = source_port, .destination_port = trace.port}); break;
    case Protocol::sctp: packet.append(Sctp{.source_port = source_port, .destination_port = trace.port}); break;
    case Protocol::icmp:
    case Protocol::icmpv6:
      if (from.is_v4()) {
        packet.append(Icmp{.id = source_port});
      } else {
        packet.append(Icmpv6{.id = source_port});
      }
      break;
  }
  const auto bytes = packet.bytes();
  std::vector<std::byte> frame;
  for (const std::uint8_t byte : bytes) frame.push_back(static_cast<std::byte>(byte));
  return frame;
}

// The same datapath, compiled for this process, over the same bytes.
Result<Classified> ask_engine(const NodeState& node, const NodePod& pod, std::uint32_t direction,
                              std::span<const std::byte> frame) {
  auto backend = make_native_backend(node.tables.sizes());
  if (!backend) return fail_as(backend);
  if (auto applied = (*backend)->apply(diff(PolicyTables(node.tables.sizes()), node.tables)); !applied) {
    return fail_as(applied);
  }
  if (auto attached = (*backend)->attach(pod.interface.ifindex); !attached) return fail_as(attached);
  return (*backend)->injector()->classify(pod.interface.ifindex, static_cast<std::uint8_t>(direction), frame,
                                          Instant{});
}

Result<Hop> ask(const NodeState& node, const NodePod& pod, std::uint32_t direction, std::span<const std::byte> frame) {
  Hop hop;
  hop.direction = direction;
  hop.pod = pod;
  const std::uint64_t slot = pn_slot(pod.interface.ifindex, pod.interface.record, pod.interface.judged ? 1 : 0);
  const auto trial = tc::Trial::load(node.pins, direction, slot, pod.interface.pod);
  if (!trial) return fail_as(trial);
  const auto kernel = (*trial)->run(frame);
  if (!kernel) return fail_as(kernel);
  hop.kernel = *kernel;
  const auto same = (*trial)->is_the_pinned_program();
  if (!same) return fail_as(same);
  hop.same_program = *same;
  const auto engine = ask_engine(node, pod, direction, frame);
  if (!engine) return fail_as(engine);
  hop.engine = *engine;
  return hop;
}

Result<void> run_hops(const NodeState& node, std::span<const std::byte> frame, Trace& trace) {
  for (const auto& [end, direction] : {std::pair{&trace.from, PN_EGRESS}, std::pair{&trace.to, PN_INGRESS}}) {
    if (!end->pod || !trace.allowed()) continue;
    auto hop = ask(node, *end->pod, direction, frame);
    if (!hop) return fail_as(hop);
    trace.hops.push_back(std::move(*hop));
  }
  return {};
}

std::optional<Explanation> explained(const ClusterSnapshot& cluster, const Trace& trace, bool strict) {
  ExplainQuery query;
  query.strict = strict;
  const auto from = find_traffic_end(cluster, trace.from.pod ? trace.from.name : trace.from.address.to_string());
  const auto to = find_traffic_end(cluster, trace.to.pod ? trace.to.name : trace.to.address.to_string());
  if (!from || !to) return std::nullopt;
  query.from = *from;
  query.to = *to;
  query.from.address = trace.from.address;
  query.to.address = trace.to.address;
  query.protocol = trace.protocol;
  query.port = trace.port;
  auto explanation = explain(cluster, query);
  if (!explanation) return std::nullopt;
  return std::move(*explanation);
}

// "allow, shop/db-in rule 1", "deny, isolated by shop/shut", "allow, nothing judges it".
std::string words(const NodeState& node, const Hop& hop, const Classified& said) {
  if (said.step == 0 && said.allow) return "allow, nothing judges it";
  std::string text = std::string(said.allow ? "allow, " : "deny, ") + reason_words(node, said.step);
  if (pn_step_said_reason(said.step) != PN_REASON_ISOLATED || hop.pod.viewed == nullptr) return text;
  auto by = hop.pod.viewed->isolating[hop.direction];
  const auto& in_audit = hop.pod.viewed->in_audit[hop.direction];
  if (said.allow) by.insert(by.end(), in_audit.begin(), in_audit.end());
  if (!by.empty()) text += " by " + joined(by);
  return text;
}

bool agree(const Hop& hop) {
  return hop.kernel.allow == hop.engine.allow && hop.kernel.step == hop.engine.step;
}

std::string end_text(const End& end) {
  return end.name == end.address.to_string() ? end.name : end.name + " (" + end.address.to_string() + ")";
}

std::string to_text(const NodeState& node, const Trace& trace) {
  const bool has_ports = trace.protocol != static_cast<std::uint8_t>(Protocol::icmp) &&
                         trace.protocol != static_cast<std::uint8_t>(Protocol::icmpv6);
  std::string text = node.names_line();
  text += fmt::format("{} -> {}, {}{}: {}\n", end_text(trace.from), end_text(trace.to),
                                 protocol_words(trace.protocol), has_ports ? fmt::format(" {}", trace.port) : "",
                                 trace.allowed() ? "allowed" : "DENIED");
  for (const auto& hop : trace.hops) {
    text += fmt::format("{} {} ({}), interface {} ({}):\n",
                        hop.direction == PN_EGRESS ? "Leaving" : "Arriving at", hop.pod.name,
                        direction_name(hop.direction), hop.pod.interface_name.empty() ? "?" : hop.pod.interface_name,
                        hop.pod.interface.ifindex);
    text += "  kernel: " + words(node, hop, hop.kernel) + "\n";
    text += "  engine: " + words(node, hop, hop.engine) + (agree(hop) ? "\n" : "   THEY DIFFER\n");
  }
  for (const End* end : {&trace.from, &trace.to}) {
    if (end->pod) continue;
    text += fmt::format("{} is not on this node: what is judged there is not said here.\n", end_text(*end));
  }
  if (trace.objects) text += "By the objects that the agent goes by:\n" + postern::to_text(*trace.objects);
  return text + "Judged as the first packet of a new connection, aside: nothing was counted or tracked.\n";
}

Json classified_json(const NodeState& node, const Classified& said) {
  const bool judged = said.step != 0 || !said.allow;
  return {{"verdict", said.allow ? "allow" : "deny"},
          {"judged", judged},
          {"reason", judged ? Json(reason_name(pn_step_reason(said.step))) : Json()},
          {"tier", judged ? Json(tier_name(tier_of_reason(pn_step_reason(said.step)))) : Json()},
          {"rule", pn_step_said_rule(said.step) == 0 ? Json() : Json(node.rule_name(pn_step_said_rule(said.step)))}};
}

Json to_json(const NodeState& node, const Trace& trace) {
  Json out{{"from", trace.from.name},
           {"fromAddress", trace.from.address.to_string()},
           {"to", trace.to.name},
           {"toAddress", trace.to.address.to_string()},
           {"protocol", protocol_words(trace.protocol)},
           {"port", trace.port},
           {"verdict", trace.allowed() ? "allow" : "deny"},
           {"view", node.names_json()},
           {"hops", Json::array()}};
  for (const auto& hop : trace.hops) {
    const Json isolating = hop.pod.viewed == nullptr ? Json() : Json(hop.pod.viewed->isolating[hop.direction]);
    out["hops"].push_back({{"pod", hop.pod.name},
                           {"direction", direction_name(hop.direction)},
                           {"interface", hop.pod.interface_name},
                           {"ifindex", hop.pod.interface.ifindex},
                           {"kernel", classified_json(node, hop.kernel)},
                           {"engine", classified_json(node, hop.engine)},
                           {"agree", agree(hop)},
                           {"isolating", isolating}});
  }
  out["explanation"] = trace.objects ? Json::parse(sim::explanation_json(*trace.objects)) : Json();
  return out;
}

// What the agent goes by, or what is given in place of it. Empty: neither.
std::vector<std::string> object_files(const TraceOptions& options, const NodeState& node) {
  if (!options.manifests.empty()) return options.manifests;
  const std::string path = node.run_folder + "/objects.json";
  std::error_code error;
  return std::filesystem::exists(path, error) ? std::vector<std::string>{path} : std::vector<std::string>{};
}

}  // namespace

int run_trace(const TraceOptions& options) {
  Trace trace;
  const auto protocol = protocol_of(options.protocol);
  if (!protocol) return refuse(protocol.error().to_string());
  trace.protocol = *protocol;
  trace.port = options.port;
  const bool icmp = trace.protocol == static_cast<std::uint8_t>(Protocol::icmp);
  if (icmp != (options.port == 0)) return refuse(icmp ? "ICMP has no ports: leave --port out" : "--port is missing");
  const auto node = open_node(options.node, StaleNames::said_by_command);
  if (!node) return refuse(node.error().to_string());
  const auto files = object_files(options, *node);
  const auto objects = files.empty() ? std::nullopt : load_manifests(files, true);
  if (!options.manifests.empty() && !objects) return 2;
  const ClusterSnapshot* cluster = objects ? &objects->cluster : nullptr;

  const auto from = ends_of(*node, cluster, options.from);
  if (!from) return refuse("--from: " + from.error().to_string());
  const auto to = ends_of(*node, cluster, options.to);
  if (!to) return refuse("--to: " + to.error().to_string());
  if (auto chosen = choose_family(*from, *to, options.family, trace); !chosen) {
    return refuse(chosen.error().to_string());
  }
  if (!trace.from.pod && !trace.to.pod) {
    return refuse("neither " + end_text(trace.from) + " nor " + end_text(trace.to) +
                  " is a pod that is enforced on this node");
  }
  if (icmp && !trace.from.address.is_v4()) trace.protocol = static_cast<std::uint8_t>(Protocol::icmpv6);
  if (auto ran = run_hops(*node, frame_of(trace, options.source_port), trace); !ran) {
    return refuse(ran.error().to_string());
  }
  if (cluster != nullptr) trace.objects = explained(*cluster, trace, node->view && node->view->strict);
  std::fputs((options.node.json ? to_json(*node, trace).dump(2) + "\n" : to_text(*node, trace)).c_str(), stdout);
  for (const auto& hop : trace.hops) {
    if (!hop.same_program) note("the pinned program is of another build than this one, which is what was run");
    if (agree(hop)) continue;
    return refuse("kernel and engine disagree: please report this, with the output of `postern policy`");
  }
  return trace.allowed() ? 0 : 1;
}

}  // namespace postern::cli
