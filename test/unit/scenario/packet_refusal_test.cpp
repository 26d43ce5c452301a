// SPDX-License-Identifier: Apache-2.0
// What is refused in single packets, and what every part of the format that is to come says.
#include "test/unit/scenario/refusals.h"

namespace postern::sim {
namespace {

const Row kPackets[] = {
    {"an unknown key in a packet",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expects: {}, expect: {verdict: allow}}",
     {"7:55: found the key \"expects\" in a packet, expected at, from, to, tcp, udp, sctp, icmp, ip, "
      "frame, source, vlan, options, extensions, fragment, length or expect; did you mean expect?"}},
    {"a packet without content",
     "{from: x/a, to: x/b, expect: {verdict: allow}}",
     {"7:7: a packet has no content, expected one of tcp, udp, sctp, icmp, ip or frame"}},
    {"a packet with two contents",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, ip: {protocol: 4}, expect: {verdict: allow}}",
     {"7:7: a packet has udp and ip, expected one of them"}},
    {"a packet without an expectation",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}}",
     {"7:7: a packet has no expect, expected one"}},
    {"an empty expectation",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {}}",
     {"7:63: expect is empty, expected a verdict or a reason"}},
    {"an unknown reason",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {reason: isolation}}",
     {"7:72: reason: found \"isolation\", expected one of not-isolated, rule, established, related, "
      "self, own-node, always, grace, isolated, denied, strict, backends-differ, no-backend, "
      "spoofed-source, fragment, malformed, protocol, ethertype"}},
    {"an unknown end to judge at",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: deny, at: both}}",
     {"7:83: at: found \"both\", expected to or from"}},
    {"an unknown flag",
     "{from: x/a, to: x/b, tcp: {sport: 1, dport: 2, flags: SX}, expect: {verdict: allow}}",
     {"7:61: flags: found \"SX\", expected letters of FSRPAU"}},
    {"TCP without flags",
     "{from: x/a, to: x/b, tcp: {sport: 1, dport: 2}, expect: {verdict: allow}}",
     {"7:33: tcp has no flags, expected one"}},
    {"a port that is too large",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 65536}, expect: {verdict: allow}}",
     {"7:51: dport: found the number 65536, expected a number from 0 to 65535"}},
    {"an unknown chunk",
     "{from: x/a, to: x/b, sctp: {sport: 1, dport: 2, chunk: HELLO}, expect: {verdict: allow}}",
     {"7:62: chunk: found \"HELLO\", expected INIT, INIT-ACK, DATA, ABORT or SHUTDOWN"}},
    {"an unknown key in tcp",
     "{from: x/a, to: x/b, tcp: {sport: 1, dport: 2, flags: S, seq: 1}, expect: {verdict: allow}}",
     {"7:64: found the key \"seq\" in tcp, expected sport, dport or flags"}},
    {"an ICMP type that is too large",
     "{from: x/a, to: x/b, icmp: {type: 256}, expect: {verdict: allow}}",
     {"7:41: type: found the number 256, expected a number from 0 to 255"}},
    {"a frame that is too short",
     "{from: x/a, to: x/b, frame: \"00 11\", expect: {verdict: allow}}",
     {"7:35: frame: found \"00 11\", expected hex digits of 14 to 65535 bytes"}},
    {"a frame that is not hex",
     "{from: x/a, to: x/b, frame: \"zz\", expect: {verdict: allow}}",
     {"7:35: frame: found \"zz\", expected hex digits of 14 to 65535 bytes"}},
    {"a source beside a frame",
     "{from: x/a, to: x/b, source: 10.0.0.1, frame: \"000000000000000000000000ffff\", expect: "
     "{verdict: allow}}",
     {"7:36: source: found \"10.0.0.1\", expected none beside frame, which is whole"}},
    {"options that are no whole words",
     "{from: x/a, to: x/b, options: \"0101010101\", udp: {sport: 1, dport: 2}, expect: {verdict: "
     "allow}}",
     {"7:37: options: found \"0101010101\", expected whole words of 4 bytes"}},
    {"a VLAN above 4095",
     "{from: x/a, to: x/b, vlan: [10, 4096], udp: {sport: 1, dport: 2}, expect: {verdict: allow}}",
     {"7:39: vlan: found the number 4096, expected a number from 0 to 4095"}},
    {"a time that falls",
     "{at: 2ms, from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: allow}}\n    - {at: "
     "1ms, from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: allow}}",
     {"8:12: at: found \"1ms\", expected a time that is not before the packet above"}},
};

TEST(ScenarioReader, refuses_each_of_these_packets_with_place_found_and_expected) {
  for (const auto& row : kPackets) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + "spec:\n  steps:\n  - packets:\n    - " + row.text + "\n"), row.messages);
  }
}

const Row kToCome[] = {
    {"IPv6",
     "spec:\n"
     "  ipFamily: IPv6\n"
     "  steps: [{name: a}]",
     {"5:13: ipFamily IPv6 is not supported yet"}},
    {"DualStack",
     "spec:\n"
     "  ipFamily: DualStack\n"
     "  steps: [{name: a}]",
     {"5:13: ipFamily DualStack is not supported yet"}},
    {"a limit on fragments",
     "spec:\n"
     "  limits: {fragments: 16}\n"
     "  steps: [{name: a}]",
     {"5:23: limits.fragments is not supported yet"}},
    {"a limit on peers",
     "spec:\n"
     "  limits: {peers: 16}\n"
     "  steps: [{name: a}]",
     {"5:19: limits.peers is not supported yet"}},
    {"a Service",
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.96.0.1}}",
     {"7:7: Service s is not supported yet in a scenario, expected none"}},
    {"an EndpointSlice",
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}}",
     {"7:7: EndpointSlice s is not supported yet in a scenario, expected none"}},
    {"a ClusterNetworkPolicy",
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: "
     "{name: c}}",
     {"7:7: ClusterNetworkPolicy c (policy.networking.k8s.io/v1alpha2) is not supported yet, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
    {"a delete of a Service",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Service, name: s}]}",
     {"6:15: Service is not supported yet"}},
    {"a delete of a ClusterNetworkPolicy",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: ClusterNetworkPolicy, name: c}]}",
     {"6:15: ClusterNetworkPolicy is not supported yet"}},
    {"a Service as an end",
     "spec:\n"
     "  steps:\n"
     "  - probes:\n"
     "    - {from: x/a, to: \"service:x/s\", port: 80, expect: allow}",
     {"7:23: a Service as an end (service:x/s) is not supported yet"}},
    {"a quoted packet",
     "spec:\n"
     "  steps:\n"
     "  - packets:\n"
     "    - {from: x/a, to: x/b, icmp: {type: 3, quotes: {}}, expect: {verdict: allow}}",
     {"7:52: an ICMP packet that quotes another is not supported yet"}},
    {"extension headers",
     "spec:\n"
     "  steps:\n"
     "  - packets:\n"
     "    - {from: x/a, to: x/b, extensions: [hop-by-hop], udp: {sport: 1, dport: 2}, expect: "
     "{verdict: allow}}",
     {"7:40: an IPv6 extension header is not supported yet"}},
    {"a fragment",
     "spec:\n"
     "  steps:\n"
     "  - packets:\n"
     "    - {from: x/a, to: x/b, fragment: {id: 1, offset: 8, more: true}, udp: {sport: 1, dport: 2}, "
     "expect: {verdict: allow}}",
     {"7:38: a fragment is not supported yet"}},
};

TEST(ScenarioReader, says_of_each_of_these_that_it_is_not_supported_yet) {
  for (const auto& row : kToCome) {
    SCOPED_TRACE(row.name);
    const std::string text = kTop + row.text + "\n";
    EXPECT_EQ(messages_of(text), row.messages);
    for (const auto& error : read_scenario(text, "s.yaml").errors) {
      EXPECT_EQ(error.code, ErrorCode::unsupported);
      EXPECT_NE(error.message.find("not supported yet"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace postern::sim
