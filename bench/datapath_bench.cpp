// SPDX-License-Identifier: Apache-2.0
// What a packet costs in the kernel, as a ratio to an empty program in the same run. Every case is a
// policy, packets that prepare (open connections), and packets that are measured; the cases of a
// policy and the floor take turns, and the median of the rounds counts. The last verdict of each
// measurement must be the expected one.
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/policies.h"
#include "bench/rig.h"

namespace postern::bench {
namespace {

constexpr int kRounds = 9;
constexpr std::uint32_t kPackets = 200'000;
constexpr std::uint8_t kSyn = 0x02, kAck = 0x10, kSynAck = 0x12;

struct Case {
  std::string name{};
  Packets packets{};
  Verdict expected = Verdict::allow;
  std::vector<Packets> prepare{};  // one packet for each of its flows, in order
  bool fresh = false;              // forget connections first: every packet opens one
  double bar = 0;                  // of the ratio to the floor; 0: none
  std::string against{};           // a case whose ratio this one is compared with ...
  double against_bar = 0;          // ... and the most that may come out
};

struct Scene {
  PodPolicy policy;
  EventMode events = EventMode::off;
  std::vector<Case> cases;
};

struct Outcome {
  double ns = 0, floor_ns = 0, ratio = 0;
};

// Whose packets: `flows` of them, spread over `peers` addresses.
struct Flows {
  std::uint32_t first_peer = kFriends;
  std::uint32_t peers = 1024;
  std::uint32_t flows = 65536;
};

Packets in(std::uint8_t flags, std::uint16_t port, const Flows& flows) {
  return {Direction::ingress, flags, port, flows.first_peer, flows.peers, flows.flows};
}
Packets out(std::uint8_t flags, std::uint16_t port, const Flows& flows) {
  return {Direction::egress, flags, port, flows.first_peer, flows.peers, flows.flows};
}

Scene without_policy() {
  Scene scene;
  scene.policy.isolate_ingress = false;
  scene.cases = {
      {.name = "no policy, new flows", .packets = in(kSyn, 80, {kFriends, 1024, 65536}), .bar = 1.10},
      {.name = "no policy, one flow", .packets = in(kAck, 80, {kFriends, 1, 1}), .bar = 1.10},
      {.name = "no policy, one flow, egress", .packets = out(kAck, 80, {kFriends, 1, 1}), .bar = 1.10},
  };
  return scene;
}

Scene one_direction() {
  Scene scene;
  scene.policy.ingress = {{kFriends, 1024, {80}}};
  scene.cases = {
      {.name = "established, one direction, 1 flow", .packets = in(kAck, 80, {kFriends, 1, 1}), .bar = 2.2},
      {.name = "established, one direction, 4k flows",
       .packets = in(kAck, 80, {kFriends, 1024, 4096}),
       .bar = 2.6},
      {.name = "established, one direction, 64k flows",
       .packets = in(kAck, 80, {kFriends, 1024, 65536}),
       .bar = 3.0},
      {.name = "reply, one direction, 64k flows",
       .packets = out(kAck, 80, {kFriends, 1024, 65536}),
       .bar = 3.0},
      {.name = "new allowed, one direction", .packets = in(kSyn, 80, {kFriends, 1024, 1 << 20}), .bar = 3.0},
      {.name = "denied SYN, stranger",
       .packets = in(kSyn, 80, {kStrangers, 1024, 65536}),
       .expected = Verdict::deny,
       .bar = 2.2},
      {.name = "denied SYN, wrong port",
       .packets = in(kSyn, 81, {kFriends, 1024, 65536}),
       .expected = Verdict::deny,
       .bar = 2.2},
      {.name = "denied non-SYN, one direction",
       .packets = in(kAck, 81, {kFriends, 1024, 65536}),
       .expected = Verdict::deny,
       .bar = 7},
      {.name = "pod-initiated, one direction, 1 flow",
       .packets = out(kAck, 40000, {kStrangers, 1, 1}),
       .prepare = {out(kSyn, 40000, {kStrangers, 1, 1}), in(kSynAck, 40000, {kStrangers, 1, 1})}},
      {.name = "pod-initiated, one direction, 64k flows",
       .packets = out(kAck, 40000, {kStrangers, 1024, 65536}),
       .prepare = {out(kSyn, 40000, {kStrangers, 1024, 65536}),
                   in(kSynAck, 40000, {kStrangers, 1024, 65536})}},
  };
  return scene;
}

Scene both_directions() {
  Scene scene;
  scene.policy.isolate_egress = true;
  scene.policy.ingress = {{kFriends, 1024, {80}}};
  scene.policy.egress = {{kOthers, 1024, {443}}};
  const auto opened = [](std::uint32_t peers, std::uint32_t flows) {
    return std::vector<Packets>{in(kSyn, 80, {kFriends, peers, flows}),
                                out(kSynAck, 80, {kFriends, peers, flows})};
  };
  scene.cases = {
      {.name = "established, both, 1 flow",
       .packets = in(kAck, 80, {kFriends, 1, 1}),
       .prepare = opened(1, 1),
       .bar = 2.2},
      {.name = "established, both, 4k flows",
       .packets = in(kAck, 80, {kFriends, 1024, 4096}),
       .prepare = opened(1024, 4096),
       .bar = 2.6},
      {.name = "established, both, 64k flows",
       .packets = in(kAck, 80, {kFriends, 1024, 65536}),
       .prepare = opened(1024, 65536),
       .bar = 8},
      {.name = "reply, both, 64k flows",
       .packets = out(kAck, 80, {kFriends, 1024, 65536}),
       .prepare = opened(1024, 65536),
       .bar = 8},
      {.name = "new allowed, both (insert)",
       .packets = in(kSyn, 80, {kFriends, 1024, 65536}),
       .fresh = true,
       .bar = 19},
      {.name = "new allowed, both, table full",
       .packets = in(kSyn, 80, {kFriends, 1024, 1 << 22}),
       .bar = 19},
      {.name = "denied SYN, both",
       .packets = in(kSyn, 81, {kFriends, 1024, 65536}),
       .expected = Verdict::deny,
       .bar = 2.2},
      {.name = "denied non-SYN, both",
       .packets = in(kAck, 81, {kFriends, 1024, 65536}),
       .expected = Verdict::deny,
       .bar = 7},
  };
  return scene;
}

// Each rule has its own peers, and is the only one that names them.
Scene ports() {
  Scene scene;
  const auto few = scattered_ports(24, 10000, 7);
  const auto many = scattered_ports(1000, 1000, 61);
  scene.policy.ingress = {{kFriends, 1024, {80}}, {kOthers, 1024, few}, {kOthers + 0x10000, 1024, many}};
  scene.cases = {
      {.name = "rule with 1 port", .packets = in(kSyn, 80, {kFriends, 1024, 65536})},
      {.name = "rule with 24 ports, the last",
       .packets = in(kSyn, few.back(), {kOthers, 1024, 65536}),
       .against = "rule with 1 port",
       .against_bar = 1.3},
      {.name = "rule with 1,000 ports, the last",
       .packets = in(kSyn, many.back(), {kOthers + 0x10000, 1024, 65536}),
       .against = "rule with 1 port",
       .against_bar = 1.3},
      {.name = "rule with 1,000 ports, the first",
       .packets = in(kSyn, many.front(), {kOthers + 0x10000, 1024, 65536}),
       .against = "rule with 1 port",
       .against_bar = 1.3},
  };
  return scene;
}

Scene many_peers(std::uint32_t peers, const std::string& text) {
  Scene scene;
  scene.policy.ingress = {{kFriends, peers, {80}}};
  const double bar = peers > 10'000 ? 7 : 0;
  scene.cases = {
      {.name = text + " host peers, allowed",
       .packets = in(kSyn, 80, {kFriends, peers, 1 << 20}),
       .bar = bar},
      {.name = text + " host peers, denied by port",
       .packets = in(kSyn, 81, {kFriends, peers, 1 << 20}),
       .expected = Verdict::deny,
       .bar = bar},
  };
  return scene;
}

Scene with_events() {
  Scene scene = one_direction();
  scene.events = EventMode::denied;
  scene.cases = {{.name = "denied SYN, events on, nobody reads",
                  .packets = in(kSyn, 81, {kFriends, 1024, 65536}),
                  .expected = Verdict::deny,
                  .against = "denied SYN, wrong port",
                  .against_bar = 2.0}};
  return scene;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result<Timing> measure(Rig& rig, const Case& one) {
  if (one.fresh || !one.prepare.empty()) {
    if (auto forgot = rig.forget_connections(); !forgot) return fail_as(forgot);
  }
  for (const Packets& packets : one.prepare) {
    auto prepared = rig.run(packets, packets.flows);
    if (!prepared) return prepared;
    if (prepared->last != Verdict::allow)
      return fail(ErrorCode::internal, one.name + ": preparing was denied");
  }
  auto timing = rig.run(one.packets, one.fresh ? one.packets.flows : kPackets);
  if (timing && timing->last != one.expected) {
    return fail(ErrorCode::internal, one.name + ": the last packet was " +
                                         (timing->last == Verdict::allow ? "allowed" : "denied") +
                                         ", expected the other");
  }
  return timing;
}

using Outcomes = std::map<std::string, Outcome>;

Result<void> run_scene(Rig& rig, const Scene& scene, Outcomes& outcomes) {
  if (auto enforced = rig.enforce(resolved(scene.policy), scene.events); !enforced) return enforced;
  std::map<std::string, std::vector<double>> ns, floors, ratios;
  for (int round = 0; round < kRounds; ++round) {
    for (const Case& one : scene.cases) {
      auto floor = rig.run(one.packets, kPackets, true);
      if (!floor) return fail_as(floor);
      auto timing = measure(rig, one);
      if (!timing) return fail_as(timing);
      ns[one.name].push_back(timing->ns);
      floors[one.name].push_back(floor->ns);
    }
  }
  for (const Case& one : scene.cases) {
    Outcome& outcome = outcomes[one.name];
    outcome.ns = median(ns[one.name]);
    outcome.floor_ns = median(floors[one.name]);
    outcome.ratio = outcome.ns / outcome.floor_ns;
  }
  return {};
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string kernel_release() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

nlohmann::json row_of(const Case& one, const Outcomes& outcomes) {
  const Outcome& outcome = outcomes.at(one.name);
  nlohmann::json row{
      {"case", one.name}, {"ns", outcome.ns}, {"floor_ns", outcome.floor_ns}, {"ratio", outcome.ratio}};
  if (one.bar > 0) {
    row["bar"] = one.bar;
    row["within"] = outcome.ratio <= one.bar;
  }
  if (!one.against.empty()) {
    const double compared = outcome.ns / outcomes.at(one.against).ns;
    row["against"] = one.against;
    row["against_ratio"] = compared;
    row["against_bar"] = one.against_bar;
    row["within"] = compared <= one.against_bar;
  }
  return row;
}

void print_human(const nlohmann::json& report) {
  std::printf(
      "kernel %s, %s; %d rounds, medians, CPU time; ratio to an empty program behind the same wrapper\n\n",
      report["kernel"].get<std::string>().c_str(), report["cpu"].get<std::string>().c_str(), kRounds);
  std::printf("%-42s %8s %8s %7s   %s\n", "case", "ns", "floor", "ratio", "bar");
  for (const auto& row : report["cases"]) {
    std::printf("%-42s %8.1f %8.1f %7.2f", row["case"].get<std::string>().c_str(), row["ns"].get<double>(),
                row["floor_ns"].get<double>(), row["ratio"].get<double>());
    if (row.contains("against")) {
      std::printf("   %.2f x \"%s\", bar %.2f", row["against_ratio"].get<double>(),
                  row["against"].get<std::string>().c_str(), row["against_bar"].get<double>());
    } else if (row.contains("bar")) {
      std::printf("   %.2f", row["bar"].get<double>());
    }
    if (row.contains("within")) std::printf("   %s", row["within"].get<bool>() ? "within" : "MISSED");
    std::printf("\n");
  }
}

int run(bool json) {
  auto rig = Rig::make(TableSizes{});
  if (!rig) {
    std::fprintf(stderr, "datapath_bench: %s\n", rig.error().to_string().c_str());
    return 2;
  }
  const Scene scenes[] = {without_policy(),       one_direction(),           both_directions(), ports(),
                          many_peers(1000, "1k"), many_peers(60'000, "60k"), with_events()};
  Outcomes outcomes;
  nlohmann::json report{{"kernel", kernel_release()}, {"cpu", cpu_model()}, {"rounds", kRounds}};
  for (const Scene& scene : scenes) {
    if (auto done = run_scene(**rig, scene, outcomes); !done) {
      std::fprintf(stderr, "datapath_bench: %s\n", done.error().to_string().c_str());
      return 2;
    }
    for (const Case& one : scene.cases) report["cases"].push_back(row_of(one, outcomes));
  }
  if (json)
    std::printf("%s\n", report.dump(2).c_str());
  else
    print_human(report);
  return 0;
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else {
      std::fprintf(stderr, "usage: datapath_bench [--json]\n");
      return 2;
    }
  }
  return postern::bench::run(json);
}
