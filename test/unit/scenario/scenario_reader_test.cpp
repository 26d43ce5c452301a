// SPDX-License-Identifier: Apache-2.0
// What a scenario file becomes.
#include "sim/scenario/scenario_reader.h"

#include <gtest/gtest.h>

namespace postern::sim {
namespace {

const std::string kTop = "apiVersion: postern.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\n";

Scenario scenario(const std::string& text, const ScenarioReadOptions& options = {}) {
  auto read = read_scenario(text, "dir/s.yaml", options);
  for (const auto& error : read.errors) ADD_FAILURE() << error.to_string();
  return read.scenario.value_or(Scenario{});
}

Step only_step(const std::string& step) {
  const Scenario read = scenario(kTop + "spec:\n  steps:\n  - " + step + "\n");
  return read.steps.empty() ? Step{} : read.steps.front();
}

TEST(ScenarioReader, absent_fields_have_the_defaults_of_the_format) {
  const Scenario read = scenario(kTop + "spec: {steps: [{}]}\n");
  EXPECT_EQ(read.file, "dir/s.yaml");
  EXPECT_EQ(read.name, "s");
  EXPECT_EQ(read.family, ScenarioFamily::v4);
  EXPECT_FALSE(read.strict);
  EXPECT_FALSE(read.service_ip_blocks);
  EXPECT_EQ(read.established_flows, EstablishedFlows::reevaluate);
  EXPECT_EQ(read.limits, TableSizes());
  ASSERT_EQ(read.steps.size(), 1u);
  EXPECT_EQ(read.steps[0].name, "step 1");
  EXPECT_EQ(read.steps[0].advance, Duration{});
  EXPECT_FALSE(read.steps[0].replay.has_value());
}

TEST(ScenarioReader, reads_what_a_spec_says) {
  const Scenario read = scenario(
      "apiVersion: postern.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s, labels: {suite: a, feature: "
      "b}}\n"
      "spec: {description: words, ipFamily: IPv4, enforcement: strict, serviceIpBlocks: compat, "
      "establishedFlows: keep,"
      " limits: {conntrack: 1000, fragments: 100}, steps: [{name: one}, {name: two, advance: 1m30s}]}\n");
  EXPECT_EQ(read.labels, (std::map<std::string, std::string>{{"suite", "a"}, {"feature", "b"}}));
  EXPECT_EQ(read.description, "words");
  EXPECT_TRUE(read.strict);
  EXPECT_EQ(read.service_ip_blocks, ServiceIpBlocks::compat);
  EXPECT_EQ(read.established_flows, EstablishedFlows::keep);
  EXPECT_EQ(read.limits.conntrack_buckets, 128u);  // of 8 entries each, a power of two
  EXPECT_EQ(read.limits.fragment_buckets, 32u);    // of 4
  ASSERT_EQ(read.steps.size(), 2u);
  EXPECT_EQ(read.steps[1].name, "two");
  EXPECT_EQ(read.steps[1].advance, seconds(90));
  EXPECT_EQ(read.steps[1].location.line, 4u);
}

TEST(ScenarioReader, reads_every_kind_of_end) {
  const Step step = only_step(
      "probes:\n"
      "    - {from: x/a, to: \"*/b*\", port: 80, expect: allow}\n"
      "    - {from: \"node:n1\", to: 10.0.0.7, port: web, protocol: UDP, expect: deny}\n"
      "    - {from: x.y/a, to: \"x-*/*\", protocol: ICMP, expect: deny}");
  ASSERT_EQ(step.probes.size(), 3u);
  const auto& glob = std::get<PodGlob>(step.probes[0].to);
  EXPECT_EQ(glob.ns, "*");
  EXPECT_EQ(glob.name, "b*");
  EXPECT_FALSE(glob.exact());
  EXPECT_TRUE(std::get<PodGlob>(step.probes[0].from).exact());
  EXPECT_EQ(step.probes[0].protocol, ProbeProtocol::tcp);
  EXPECT_EQ(std::get<std::uint16_t>(*step.probes[0].port), 80);
  EXPECT_EQ(step.probes[0].expect, Expectation::allow);
  EXPECT_EQ(step.probes[0].to_text, "*/b*");
  EXPECT_EQ(std::get<NodeEnd>(step.probes[1].from).name, "n1");
  EXPECT_EQ(std::get<IpAddress>(step.probes[1].to).to_string(), "10.0.0.7");
  EXPECT_EQ(std::get<std::string>(*step.probes[1].port), "web");
  EXPECT_EQ(step.probes[1].protocol, ProbeProtocol::udp);
  EXPECT_EQ(step.probes[1].expect, Expectation::deny);
  EXPECT_EQ(step.probes[1].location.line, 8u);
  EXPECT_EQ(step.probes[2].protocol, ProbeProtocol::icmp);
  EXPECT_FALSE(step.probes[2].port.has_value());
}

TEST(ScenarioReader, reads_every_kind_of_packet) {
  const Step step = only_step(
      "packets:\n"
      "    - {at: 1ms, from: x/a, to: y/b, tcp: {sport: 40000, dport: 80, flags: SA}, expect: {verdict: "
      "allow}}\n"
      "    - {at: 1ms, from: x/a, to: y/b, udp: {sport: 1, dport: 2}, length: 24, expect: {verdict: deny,"
      " reason: isolated, policy: y/p, rule: 3, at: from}}\n"
      "    - {at: 2ms, from: x/a, to: y/b, sctp: {sport: 1, dport: 2, chunk: INIT-ACK}, vlan: [10, 20],"
      " expect: {reason: ethertype}}\n"
      "    - {at: 2ms, from: x/a, to: y/b, icmp: {type: 8, id: 7}, source: 10.9.9.9, options: \"01 01 01 "
      "01\","
      " expect: {verdict: deny}}\n"
      "    - {at: 2ms, from: x/a, to: y/b, ip: {protocol: 47}, expect: {verdict: deny}}\n"
      "    - {at: 2ms, from: x/a, to: y/b, frame: \"ffffffffffff 020000000001 88cc\", expect: {verdict: "
      "allow}}");
  ASSERT_EQ(step.packets.size(), 6u);
  const auto& tcp = std::get<TcpPart>(step.packets[0].part);
  EXPECT_EQ(tcp.sport, 40000);
  EXPECT_EQ(tcp.dport, 80);
  EXPECT_EQ(tcp.flags, "SA");
  EXPECT_EQ(step.packets[0].at, milliseconds(1));
  EXPECT_FALSE(step.packets[0].expect.reason.has_value());
  EXPECT_FALSE(step.packets[0].expect.at_from);
  EXPECT_FALSE(step.packets[0].expect.at_written);
  const auto& denied = step.packets[1];
  EXPECT_EQ(std::get<UdpPart>(denied.part).dport, 2);
  EXPECT_EQ(denied.length, 24u);
  EXPECT_EQ(denied.expect.verdict, Expectation::deny);
  EXPECT_EQ(denied.expect.reason, "isolated");
  EXPECT_EQ(denied.expect.policy, "y/p");
  EXPECT_EQ(denied.expect.rule, 3u);
  EXPECT_TRUE(denied.expect.at_from);
  EXPECT_TRUE(denied.expect.at_written);
  EXPECT_EQ(std::get<SctpPart>(step.packets[2].part).chunk, "INIT-ACK");
  EXPECT_EQ(step.packets[2].vlan, (std::vector<std::uint16_t>{10, 20}));
  EXPECT_FALSE(step.packets[2].expect.verdict.has_value());
  EXPECT_EQ(std::get<IcmpPart>(step.packets[3].part).type, 8);
  EXPECT_EQ(std::get<IcmpPart>(step.packets[3].part).id, 7);
  EXPECT_EQ(step.packets[3].source->to_string(), "10.9.9.9");
  EXPECT_EQ(step.packets[3].ip_options, (std::vector<std::uint8_t>{1, 1, 1, 1}));
  EXPECT_EQ(std::get<IpPart>(step.packets[4].part).protocol, 47);
  const auto& frame = std::get<FramePart>(step.packets[5].part).bytes;
  ASSERT_EQ(frame.size(), 14u);
  EXPECT_EQ(frame[0], 0xff);
  EXPECT_EQ(frame[13], 0xcc);
}

TEST(ScenarioReader, reads_extension_headers_and_fragments) {
  const Scenario read = scenario(kTop +
                                 "spec:\n  ipFamily: IPv6\n  steps:\n  - packets:\n"
                                 "    - {from: x/a, to: \"2001:db8::1\", udp: {sport: 1, dport: 2},"
                                 " extensions: [hop-by-hop, destination, routing, destination],"
                                 " fragment: {id: 4294967295, offset: 65528, more: true},"
                                 " source: \"2001:db8::2\", expect: {verdict: deny}}\n");
  ASSERT_EQ(read.steps.size(), 1u);
  const PacketLine& packet = read.steps[0].packets.at(0);
  EXPECT_EQ(packet.extensions,
            (std::vector<ExtensionHeader>{ExtensionHeader::hop_by_hop, ExtensionHeader::destination,
                                          ExtensionHeader::routing, ExtensionHeader::destination}));
  ASSERT_TRUE(packet.fragment.has_value());
  EXPECT_EQ(packet.fragment->id, 4294967295u);
  EXPECT_EQ(packet.fragment->offset, 65528);
  EXPECT_TRUE(packet.fragment->more);
  EXPECT_EQ(packet.source->to_string(), "2001:db8::2");
  EXPECT_EQ(read.family, ScenarioFamily::v6);
}

TEST(ScenarioReader, reads_what_an_icmp_error_quotes) {
  const Step step = only_step(
      "packets:\n    - {from: x/b, to: x/a, icmp: {type: 3, code: 3, quotes: {from: x/a, to: 10.0.0.7, tcp: "
      "{sport: 1, dport: 2, flags: S}}}, expect: {verdict: allow}}");
  ASSERT_EQ(step.packets.size(), 1u);
  ASSERT_TRUE(step.packets[0].quotes.has_value());
  const QuotedPacket& quoted = *step.packets[0].quotes;
  EXPECT_EQ(quoted.from_text, "x/a");
  EXPECT_EQ(std::get<IpAddress>(quoted.to).to_string(), "10.0.0.7");
  EXPECT_EQ(std::get<TcpPart>(quoted.part).dport, 2);
  EXPECT_EQ(std::get<IcmpPart>(step.packets[0].part).type, 3);
}

TEST(ScenarioReader, reads_services_as_ends_and_objects) {
  const Step step = only_step(
      "apply: [{apiVersion: v1, kind: Service, metadata: {name: s}}]\n"
      "    delete: [{kind: EndpointSlice, name: e}]\n"
      "    probes: [{from: x/a, to: \"service:x/s\", port: web, expect: "
      "allow}]");
  ASSERT_EQ(step.probes.size(), 1u);
  EXPECT_EQ(std::get<ServiceEnd>(step.probes[0].to).service, (NamespacedName{"x", "s"}));
  EXPECT_EQ(step.applies.at(0).kind, "Service");
  EXPECT_EQ(step.deletes.at(0).kind, "EndpointSlice");
}

TEST(ScenarioReader, reads_deletes_and_objects) {
  const Step step = only_step(
      "delete: [{kind: NetworkPolicy, name: p, namespace: x}, {kind: Pod, name: a}, {kind: Namespace, name: "
      "z}]\n"
      "    apply:\n"
      "    - {apiVersion: v1, kind: ConfigMap}\n"
      "    - {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: b}}]}");
  ASSERT_EQ(step.deletes.size(), 3u);
  EXPECT_EQ(step.deletes[0].ns, "x");
  EXPECT_EQ(step.deletes[1].ns, "default");
  EXPECT_EQ(step.deletes[2].ns, "");
  EXPECT_EQ(step.deletes[2].location.line, 6u);
  ASSERT_EQ(step.applies.size(), 1u);
  EXPECT_EQ(step.applies[0].kind, "Pod");
}

TEST(ScenarioReader, reads_a_replay_beside_the_file) {
  const Step step = only_step("replay: {capture: captures/a.pcap, expect: {allowed: 12, denied: 3}}");
  ASSERT_TRUE(step.replay.has_value());
  EXPECT_EQ(step.replay->capture, "dir/captures/a.pcap");
  EXPECT_EQ(step.replay->vantage, "pod-veth");
  EXPECT_EQ(step.replay->allowed, 12u);
  EXPECT_EQ(step.replay->denied, 3u);
  EXPECT_EQ(only_step("replay: {capture: /a.pcap, expect: {denied: 0}}").replay->capture, "/a.pcap");
}

ScenarioReadOptions with_files(const std::map<std::string, std::string>& files) {
  ScenarioReadOptions options;
  options.load = [files](const std::string& path) -> Result<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return fail(ErrorCode::io, "no such file", {path, 0, 0});
    return found->second;
  };
  return options;
}

TEST(ScenarioReader, loads_manifests_beside_the_file) {
  const std::string text = kTop + "spec: {manifests: [../web.yaml, b.json], steps: [{}]}\n";
  const auto options = with_files({{"dir/../web.yaml",
                                    "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n"
                                    "{apiVersion: v1, kind: Secret}\n---\n"
                                    "{apiVersion: v1, kind: Service, metadata: {name: s}}\n"},
                                   {"dir/b.json", R"({"apiVersion": "v1", "kind": "Secret"})"}});
  const Scenario read = scenario(text, options);
  ASSERT_EQ(read.manifests.size(), 2u);
  EXPECT_EQ(read.manifests[0].location.file, "dir/../web.yaml");
  EXPECT_EQ(read.skipped_kinds.at("Secret"), 2u);
}

TEST(ScenarioReader, reports_what_is_wrong_with_manifests_at_their_own_place) {
  const std::string text = kTop + "spec: {manifests: [a.yaml, b.yaml], steps: [{}]}\n";
  const auto read = read_scenario(
      text, "dir/s.yaml", with_files({{"dir/a.yaml", "{apiVersion: v1, kind: Pod, metadata: {}}\n"}}));
  ASSERT_EQ(read.errors.size(), 2u);
  EXPECT_EQ(read.errors[0].to_string(), "dir/a.yaml:1:39: metadata.name: found nothing, expected a name");
  EXPECT_EQ(read.errors[1].to_string(), "dir/s.yaml:4:28: manifests: dir/b.yaml: no such file");
  EXPECT_EQ(read.errors[1].code, ErrorCode::io);
}

TEST(ScenarioReader, unsupported_policies_are_counted_when_told_to_ignore_them) {
  const std::string text = kTop +
                           "spec: {steps: [{apply: [{apiVersion: "
                           "cilium.io/v2, kind: CiliumNetworkPolicy,"
                           " metadata: {name: c}}]}]}\n";
  EXPECT_EQ(read_scenario(text, "s.yaml").errors.size(), 1u);
  ScenarioReadOptions options;
  options.ignore_unsupported = true;
  EXPECT_EQ(scenario(text, options).skipped_kinds.at("CiliumNetworkPolicy"), 1u);
}

TEST(ScenarioReader, files_of_other_kinds_are_no_scenarios) {
  struct Row {
    const char* text;
    const char* kind;
    const char* message;  // for who named the file
  };
  const Row rows[] = {
      {"{apiVersion: v1, kind: Pod}\n", "Pod", "s.yaml:1:24: kind: found \"Pod\", expected Scenario"},
      {"{apiVersion: v1, kind: Scenaro}\n", "Scenaro",
       "s.yaml:1:24: kind: found \"Scenaro\", expected Scenario; did you mean "
       "Scenario?"},
      {"{apiVersion: v1, kind: Pod}\n---\n{broken\n", "Pod",
       "s.yaml:1:24: kind: found \"Pod\", expected Scenario"},
      {"[a]\n", "a list", "s.yaml:1:1: kind: found nothing, expected Scenario"},
      {"", "nothing", "s.yaml: found nothing, expected a Scenario"},
      {"# only a comment\n", "nothing", "s.yaml: found nothing, expected a Scenario"},
      {"a: b\n", "a mapping", "s.yaml:1:1: kind: found nothing, expected Scenario"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto read = read_scenario(row.text, "s.yaml");
    EXPECT_FALSE(read.is_scenario);
    EXPECT_EQ(read.found_kind, row.kind);
    EXPECT_FALSE(read.scenario.has_value());
    EXPECT_TRUE(read.errors.empty());
    ASSERT_TRUE(read.no_scenario.has_value());
    EXPECT_EQ(read.no_scenario->to_string(), row.message);
  }
}

TEST(ScenarioReader, text_that_is_no_yaml_is_an_error_and_not_skipped) {
  const auto read = read_scenario("kind: Scenario\n  spec: [\n", "s.yaml");
  EXPECT_TRUE(read.is_scenario);
  EXPECT_EQ(read.errors.size(), 1u);
}

TEST(Durations, are_whole_numbers_with_units_largest_first) {
  struct Row {
    const char* text;
    std::int64_t ns;
  };
  const Row rows[] = {{"0", 0},
                      {"0ms", 0},
                      {"30s", 30'000'000'000},
                      {"1m30s", 90'000'000'000},
                      {"250ms", 250'000'000},
                      {"24h", 86'400'000'000'000},
                      {"1h1m1s1ms1us1ns", 3'661'001'001'001},
                      {"90s", 90'000'000'000}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    ASSERT_TRUE(parse_duration(row.text).has_value());
    EXPECT_EQ(parse_duration(row.text)->ns, row.ns);
  }
  for (const char* text : {"", "30", "s", "1.5s", "-1s", "1s1m", "1s1s", "1 s", "1d", "1S",
                           "99999999999999999h", "9999999h", "1m 30s"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace postern::sim
