// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "backends/tc/monitor.h"
#include "cli/commands/interrupt.h"
#include "cli/commands/output.h"
#include "engine/datapath/parse.h"
#include "engine/decode/elements.h"
#include "engine/enforce/event_address.h"
#include "engine/explain/explain.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWaitMs = 200;
constexpr std::int64_t kRenewNs = 1'000'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

// tcpdump's letters, '.' for an acknowledgement.
std::string flags_text(std::uint8_t flags) {
  constexpr std::array<std::pair<std::uint8_t, char>, 6> kLetters{
      {{0x01, 'F'}, {0x02, 'S'}, {0x04, 'R'}, {0x08, 'P'}, {0x20, 'U'}, {0x10, '.'}}};
  std::string text;
  for (const auto& [bit, letter] : kLetters) {
    if ((flags & bit) != 0) text += letter;
  }
  return text.empty() ? "none" : text;
}

class Watch {
 public:
  Watch(const MonitorOptions& options, NodeState node) : options_(options), node_(std::move(node)) {
    wall_offset_ns_ = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
  }

  // Errors: a pod that is not here, an address or a protocol that is none.
  Result<void> prepare();
  // What the kernel can filter itself: an interface, or 0.
  [[nodiscard]] std::uint32_t ifindex() const {
    return !options_.pod.empty() && endpoints_.size() == 1 ? only_ifindex_ : 0;
  }
  // Names of pods and rules that came meanwhile, once the agent has written them down.
  void look_again();
  void take(const pn_event& event);
  [[nodiscard]] bool done() const { return options_.count != 0 && shown_ >= options_.count; }
  [[nodiscard]] std::uint64_t shown() const { return shown_; }
  [[nodiscard]] std::uint64_t seen() const { return seen_; }

 private:
  void learn_names();
  [[nodiscard]] bool wanted(const pn_event& event) const;
  [[nodiscard]] std::string side(const IpAddress& address, std::optional<std::uint16_t> port) const;
  [[nodiscard]] std::string line(const pn_event& event) const;
  [[nodiscard]] Json object(const pn_event& event) const;
  [[nodiscard]] std::string time_text(std::uint64_t monotonic_ns, bool with_date) const;

  const MonitorOptions& options_;
  NodeState node_;
  std::map<IpAddress, std::string> names_;
  std::set<std::uint32_t> endpoints_;
  std::uint32_t only_ifindex_ = 0;
  std::optional<IpAddress> host_;
  std::int64_t wall_offset_ns_ = 0;
  std::uint64_t shown_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t looked_at_ = 0;  // packets seen when the view was read last
};

Result<void> Watch::prepare() {
  learn_names();
  if (!options_.host.empty()) {
    host_ = IpAddress::parse(options_.host);
    if (!host_) return fail(ErrorCode::invalid_input, "--host: found \"" + options_.host + "\", expected an address");
  }
  if (options_.pod.empty()) return {};
  const auto pods = node_.pods_named(options_.pod);
  if (!pods) return fail_as(pods);
  for (const auto& pod : *pods) {
    endpoints_.insert(pod.endpoint().value);
    only_ifindex_ = pod.interface.ifindex;
  }
  return {};
}

void Watch::look_again() {
  if (!node_.view || seen_ == looked_at_) return;  // without a view, or without a packet, there is nothing to learn
  looked_at_ = seen_;
  auto view = read_view(node_.run_folder);
  if (!view || view->written == node_.view->written) return;
  auto node = open_node(options_.node);
  if (!node) return;
  node_ = std::move(*node);
  learn_names();
}

void Watch::learn_names() {
  const auto pods = node_.pods();
  for (std::size_t i = 0; pods && i < pods->size(); ++i) {
    for (const auto& address : (*pods)[i].addresses) names_[address] = (*pods)[i].name;
  }
}

bool Watch::wanted(const pn_event& event) const {
  if (!endpoints_.empty() && !endpoints_.contains(event.endpoint)) return false;
  if (!options_.verdict.empty() && options_.verdict != verdict_word(event.step)) return false;
  if (!options_.direction.empty() && options_.direction != direction_name(event.direction)) return false;
  if (!options_.protocol.empty()) {
    std::string protocol = pn_is_icmp(event.protocol) != 0 ? "ICMP" : protocol_words(event.protocol);
    std::string asked = options_.protocol;
    std::transform(asked.begin(), asked.end(), asked.begin(), [](unsigned char c) { return std::toupper(c); });
    if (asked != protocol) return false;
  }
  const bool has_ports = pn_has_ports(event.protocol) != 0;
  if (options_.port != 0 &&
      (!has_ports || (event.source_port != options_.port && event.destination_port != options_.port))) {
    return false;
  }
  if (!host_) return true;
  return event.family != 0 && (event_address(event.source, event.family) == *host_ ||
                               event_address(event.destination, event.family) == *host_);
}

std::string Watch::time_text(std::uint64_t monotonic_ns, bool with_date) const {
  const std::int64_t wall = static_cast<std::int64_t>(monotonic_ns) + wall_offset_ns_;
  const std::time_t seconds = wall / kSecondNs;
  std::tm parts{};
  std::array<char, 32> text{};
  if (with_date) {
    gmtime_r(&seconds, &parts);
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    return fmt::format("{}.{:06}Z", text.data(), wall % kSecondNs / 1000);
  }
  localtime_r(&seconds, &parts);
  std::strftime(text.data(), text.size(), "%H:%M:%S", &parts);
  return fmt::format("{}.{:06}", text.data(), wall % kSecondNs / 1000);
}

// "shop/web (10.0.0.5).443", as tcpdump puts a port behind an address.
std::string Watch::side(const IpAddress& address, std::optional<std::uint16_t> port) const {
  const auto name = names_.find(address);
  const std::string where = address.to_string() + (port ? "." + std::to_string(*port) : "");
  return name == names_.end() ? where : name->second + " (" + where + ")";
}

std::string Watch::line(const pn_event& event) const {
  std::string text = time_text(event.time_ns, false) + " " + node_.endpoint_name(EndpointId{event.endpoint}) + " " +
                     direction_name(event.direction) + " " + verdict_word(event.step) + " " +
                     reason_words(node_, event.step) + ": ";
  if (event.family == 0) return text + fmt::format("not IP, length {}", event.length);
  const bool has_ports = pn_has_ports(event.protocol) != 0;
  text += event.family == 4 ? "IP " : "IP6 ";
  text += side(event_address(event.source, event.family), has_ports ? std::optional(event.source_port) : std::nullopt);
  text += " > ";
  text += side(event_address(event.destination, event.family),
               has_ports ? std::optional(event.destination_port) : std::nullopt);
  text += ": " + protocol_words(event.protocol);
  if (event.protocol == PN_IP_TCP) text += fmt::format(", Flags [{}]", flags_text(event.tcp_flags));
  if (pn_is_icmp(event.protocol) != 0) {
    text += fmt::format(" type {} code {}", event.source_port >> 8, event.source_port & 0xff);
  }
  return text + fmt::format(", length {}", event.length);
}

Json Watch::object(const pn_event& event) const {
  Json out{{"time", time_text(event.time_ns, true)},
           {"pod", node_.endpoint_name(EndpointId{event.endpoint})},
           {"endpoint", event.endpoint},
           {"ifindex", event.ifindex},
           {"direction", direction_name(event.direction)},
           {"verdict", verdict_word(event.step)},
           {"reason", reason_name(pn_step_reason(event.step))},
           {"tier", tier_name(tier_of_reason(pn_step_reason(event.step)))},
           {"rule", pn_step_said_rule(event.step) == 0 ? Json() : Json(node_.rule_name(pn_step_said_rule(event.step)))},
           {"length", event.length}};
  if (event.family == 0) return out;
  const bool has_ports = pn_has_ports(event.protocol) != 0;
  const bool icmp = pn_is_icmp(event.protocol) != 0;
  out.update({{"source", event_address(event.source, event.family).to_string()},
              {"destination", event_address(event.destination, event.family).to_string()},
              {"protocol", protocol_words(event.protocol)},
              {"sourcePort", has_ports ? Json(event.source_port) : Json()},
              {"destinationPort", has_ports ? Json(event.destination_port) : Json()},
              {"tcpFlags", event.protocol == PN_IP_TCP ? Json(flags_text(event.tcp_flags)) : Json()},
              {"icmpType", icmp ? Json(event.source_port >> 8) : Json()}});
  return out;
}

void Watch::take(const pn_event& event) {
  ++seen_;
  if (done() || !wanted(event)) return;
  ++shown_;
  std::puts((options_.node.json ? object(event).dump() : line(event)).c_str());
}

}  // namespace

int run_monitor(const MonitorOptions& options) {
  auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  Watch watch(options, std::move(*node));
  if (auto prepared = watch.prepare(); !prepared) return refuse(prepared.error().to_string());
  catch_interrupts();
  auto monitor = tc::Monitor::start(options.node.pins(), watch.ifindex());
  if (!monitor) return refuse(monitor.error().to_string());
  note("watching; end with ^C");
  std::int64_t renewed_ns = clock_ns(CLOCK_MONOTONIC);
  while (!interrupted() && !watch.done() && std::ferror(stdout) == 0) {
    const auto polled = (*monitor)->poll(kWaitMs, [&](const pn_event& event) { watch.take(event); });
    if (!polled) return refuse(polled.error().to_string());
    std::fflush(stdout);
    const std::int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (now_ns - renewed_ns < kRenewNs) continue;
    renewed_ns = now_ns;
    watch.look_again();
    if (auto renewed = (*monitor)->renew(); !renewed) return refuse(renewed.error().to_string());
  }
  const auto lost = (*monitor)->lost();
  if (!lost) return refuse(lost.error().to_string());
  note(fmt::format("{} shown of {} judged packets; {} more were lost, as the ring was full", watch.shown(),
                   watch.seen(), *lost));
  return 0;
}

}  // namespace postern::cli
