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
     {"7:63: expect compares nothing, expected a verdict, reason, policy or "
      "rule"}},
    {"an expectation that only says where",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {at: from}}",
     {"7:63: expect compares nothing, expected a verdict, reason, policy or "
      "rule"}},
    {"a verdict that is null",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: null}}",
     {"7:63: expect compares nothing, expected a verdict, reason, policy or "
      "rule"}},
    {"an unknown reason",
     "{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {reason: isolation}}",
     {"7:72: reason: found \"isolation\", expected one of not-isolated, rule, established, related, "
      "self, own-node, always, grace, would-deny, isolated, denied, strict, backends-differ, no-backend, "
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
     "{from: x/a, to: x/b, tcp: {sport: 1, dport: 2, flags: S, sequence: 1}, expect: {verdict: allow}}",
     {"7:64: found the key \"sequence\" in tcp, expected sport, dport, flags, seq or ack"}},
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
    {"a time that falls to none",
     "{at: 2ms, from: x/a, to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: allow}}\n    - {from: x/a, "
     "to: x/b, udp: {sport: 1, dport: 2}, expect: {verdict: allow}}",
     {"8:7: at: found none, which is 0, expected a time that is not before the packet above"}},
};

TEST(ScenarioReader, refuses_each_of_these_packets_with_place_found_and_expected) {
  for (const auto& row : kPackets) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + "spec:\n  steps:\n  - packets:\n    - " + row.text + "\n"), row.messages);
  }
}

// Whole specs.
const Row kPacketSpecs[] = {
    {"an unknown key in udp",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2, flags: S}, "
     "expect: {verdict: deny}}]\n",
     {"6:62: found the key \"flags\" in udp, expected sport or dport"}},
    {"an unknown key in sctp",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, sctp: {sport: 1, dport: 2, chunk: "
     "INIT, tag: 1}, expect: {verdict: deny}}]\n",
     {"6:76: found the key \"tag\" in sctp, expected sport, dport or chunk"}},
    {"an unknown key in icmp",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 8, seq: 1}, expect: "
     "{verdict: deny}}]\n",
     {"6:52: found the key \"seq\" in icmp, expected type, code, id or "
      "quotes"}},
    {"an unknown key in ip",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4, proto: 4}, expect: "
     "{verdict: deny}}]\n",
     {"6:54: found the key \"proto\" in ip, expected protocol; did you mean "
      "protocol?"}},
    {"an unknown key in a fragment",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, fragment: "
     "{id: 1, ofset: 8}, expect: {verdict: deny}}]\n",
     {"6:81: found the key \"ofset\" in fragment, expected id, offset or more; "
      "did you mean offset?"}},
    {"an unknown key in a packet's expectation",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4}, expect: {verdict: "
     "deny, reasons: isolated}}]\n",
     {"6:79: found the key \"reasons\" in expect, expected verdict, reason, "
      "policy, rule or at; did you mean reason?"}},
    {"a verdict that is no verdict",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4}, expect: {verdict: "
     "drop}}]\n",
     {"6:73: verdict: found \"drop\", expected deny or allow"}},
    {"a rule that is a name",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4}, expect: {verdict: "
     "deny, rule: p}}]\n",
     {"6:85: rule: found \"p\", expected a number from 0 to 16777215"}},
    {"a policy that is a number",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4}, expect: {verdict: "
     "deny, policy: 1}}]\n",
     {"6:87: policy: found the number 1, expected a string (in quotes)"}},
    {"an expectation that is a word",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 4}, expect: deny}]\n",
     {"6:63: expect: found \"deny\", expected a mapping"}},
    {"a packet without from",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{to: x/b, ip: {protocol: 4}, expect: {verdict: deny}}]\n",
     {"6:15: a packet has no from, expected one"}},
    {"a packet without to",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/b, ip: {protocol: 4}, expect: {verdict: deny}}]\n",
     {"6:15: a packet has no to, expected one"}},
    {"a packet from a Service",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: \"service:x/s\", to: x/b, ip: {protocol: 4}, "
     "expect: {verdict: deny}}]\n",
     {"6:22: from: found \"service:x/s\", expected a Service only in to"}},
    {"UDP without a port",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1}, expect: {verdict: "
     "deny}}]\n",
     {"6:41: udp has no dport, expected one"}},
    {"SCTP without a chunk",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, sctp: {sport: 1, dport: 2}, expect: "
     "{verdict: deny}}]\n",
     {"6:42: sctp has no chunk, expected one"}},
    {"ICMP without a type",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {code: 0}, expect: {verdict: "
     "deny}}]\n",
     {"6:42: icmp has no type, expected one"}},
    {"an ICMP code that is too large",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 8, code: 256}, expect: "
     "{verdict: deny}}]\n",
     {"6:58: code: found the number 256, expected a number from 0 to 255"}},
    {"an ICMP id that is too large",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 8, id: 65536}, expect: "
     "{verdict: deny}}]\n",
     {"6:56: id: found the number 65536, expected a number from 0 to 65535"}},
    {"IP without a protocol",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {}, expect: {verdict: deny}}]\n",
     {"6:40: ip has no protocol, expected one"}},
    {"an IP protocol that is too large",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, ip: {protocol: 256}, expect: "
     "{verdict: deny}}]\n",
     {"6:51: protocol: found the number 256, expected a number from 0 to 255"}},
    {"flags in lower case",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, tcp: {sport: 1, dport: 2, flags: s}, "
     "expect: {verdict: deny}}]\n",
     {"6:69: flags: found \"s\", expected letters of FSRPAU"}},
    {"a chunk in lower case",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, sctp: {sport: 1, dport: 2, chunk: "
     "init}, expect: {verdict: deny}}]\n",
     {"6:70: chunk: found \"init\", expected INIT, INIT-ACK, DATA, ABORT or "
      "SHUTDOWN"}},
    {"a fragment's offset that is no multiple of 8",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, fragment: "
     "{id: 1, offset: 12}, expect: {verdict: deny}}]\n",
     {"6:89: offset: found the number 12, expected a multiple of 8 bytes"}},
    {"a fragment's offset beyond a packet",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, fragment: "
     "{id: 1, offset: 65536}, expect: {verdict: deny}}]\n",
     {"6:89: offset: found the number 65536, expected a number from 0 to "
      "65528"}},
    {"a fragment's id of more than 16 bits in IPv4",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, fragment: "
     "{id: 65536}, expect: {verdict: deny}}]\n",
     {"6:78: id: found the number 65536, expected a number from 0 to 65535"}},
    {"a fragment's more that is a number",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, fragment: "
     "{id: 1, more: 1}, expect: {verdict: deny}}]\n",
     {"6:87: more: found the number 1, expected true or false"}},
    {"an extension header in IPv4",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, "
     "extensions: [hop-by-hop], expect: {verdict: deny}}]\n",
     {"6:75: extensions: found a list, expected none in an IPv4 packet"}},
    {"an unknown extension header",
     "spec:\n"
     "  ipFamily: IPv6\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, extensions: [hop-by-hop, hop], udp: "
     "{sport: 1, dport: 2}, expect: {verdict: deny}}]\n",
     {"7:61: extensions: found \"hop\", expected hop-by-hop, destination or "
      "routing"}},
    {"an extension header that is no word",
     "spec:\n"
     "  ipFamily: IPv6\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, extensions: [0], udp: {sport: 1, "
     "dport: 2}, expect: {verdict: deny}}]\n",
     {"7:49: extensions: found the number 0, expected hop-by-hop, destination "
      "or routing"}},
    {"extension headers that are no list",
     "spec:\n"
     "  ipFamily: IPv6\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, extensions: routing, udp: {sport: 1, "
     "dport: 2}, expect: {verdict: deny}}]\n",
     {"7:48: extensions: found \"routing\", expected a list"}},
    {"IPv4 options in IPv6",
     "spec:\n"
     "  ipFamily: IPv6\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, options: \"01010101\", udp: {sport: "
     "1, dport: 2}, expect: {verdict: deny}}]\n",
     {"7:45: options: found \"01010101\", expected none in an IPv6 packet, "
      "which has extensions"}},
    {"a fragment beside a frame",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, fragment: {id: 1}, frame: "
     "\"000000000000000000000000ffff\", expect: {verdict: deny}}]\n",
     {"6:46: fragment: found a mapping, expected none beside frame, which is "
      "whole"}},
    {"a source that is no address",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, source: "
     "x/a, expect: {verdict: deny}}]\n",
     {"6:71: source: found \"x/a\", expected an address like 10.0.0.1 or "
      "2001:db8::1"}},
    {"a source of the other family",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, source: "
     "\"2001:db8::1\", expect: {verdict: deny}}]\n",
     {"6:71: source: found \"2001:db8::1\", expected an address of the "
      "scenario's family, IPv4"}},
    {"a quoted packet without content",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: x/b, "
     "to: x/a}}, expect: {verdict: deny}}]\n",
     {"6:60: quotes has no content, expected one of tcp, udp, sctp, icmp or "
      "ip"}},
    {"a quoted packet with two contents",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: x/b, "
     "to: x/a, udp: {sport: 1, dport: 2}, ip: {protocol: 4}}}, expect: "
     "{verdict: deny}}]\n",
     {"6:60: quotes has udp and ip, expected one of them"}},
    {"a quoted packet without ends",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {udp: {sport: "
     "1, dport: 2}}}, expect: {verdict: deny}}]\n",
     {"6:60: quotes has no from, expected one", "6:60: quotes has no to, expected one"}},
    {"an unknown key in a quoted packet",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: x/b, "
     "to: x/a, vlan: [1], udp: {sport: 1, dport: 2}}}, expect: {verdict: "
     "deny}}]\n",
     {"6:81: found the key \"vlan\" in quotes, expected from, to, tcp, udp, "
      "sctp, icmp or ip"}},
    {"a quoted packet that quotes",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: x/b, "
     "to: x/a, icmp: {type: 3, quotes: {}}}}, expect: {verdict: deny}}]\n",
     {"6:97: found the key \"quotes\" in icmp, expected type, code or id"}},
    {"a quoted frame",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: x/b, "
     "to: x/a, frame: \"00\"}}, expect: {verdict: deny}}]\n",
     {"6:81: found the key \"frame\" in quotes, expected from, to, tcp, udp, "
      "sctp, icmp or ip; did you mean from?",
      "6:60: quotes has no content, expected one of tcp, udp, sctp, icmp or "
      "ip"}},
    {"a quoted packet that is a word",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: x/a}, expect: "
     "{verdict: deny}}]\n",
     {"6:60: quotes: found \"x/a\", expected a mapping"}},
    {"a quoted packet with an end of the other family",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, icmp: {type: 3, quotes: {from: "
     "\"2001:db8::1\", to: x/a, udp: {sport: 1, dport: 2}}}, expect: {verdict: "
     "deny}}]\n",
     {"6:67: from: found \"2001:db8::1\", expected an address of the "
      "scenario's family, IPv4"}},
};

TEST(ScenarioReader, refuses_each_of_these_packets_in_their_step) {
  for (const auto& row : kPacketSpecs) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + row.text), row.messages);
  }
}

const Row kToCome[] = {
    {"an ApplicationNetworkPolicy",
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: networking.k8s.aws/v1alpha1, kind: ApplicationNetworkPolicy, metadata: "
     "{name: c, namespace: x}}",
     {"7:7: ApplicationNetworkPolicy x/c (networking.k8s.aws/v1alpha1) is not "
      "supported yet, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change "
      "verdicts"}},
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
