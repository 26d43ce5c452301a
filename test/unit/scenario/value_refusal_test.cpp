// SPDX-License-Identifier: Apache-2.0
// Values of the wrong type, out of range, or missing, in every part of a
// scenario but its packets.
#include "test/unit/scenario/refusals.h"

namespace postern::sim {
namespace {

const Row kValues[] = {
    {"a description that is a list",
     "spec:\n"
     "  description: [a]\n"
     "  steps: [{name: a}]\n",
     {"5:16: description: found a list, expected a string"}},
    {"an ipFamily that is a number",
     "spec:\n"
     "  ipFamily: 4\n"
     "  steps: [{name: a}]\n",
     {"5:13: ipFamily: found the number 4, expected IPv4, IPv6 or DualStack"}},
    {"an enforcement that is a boolean",
     "spec:\n"
     "  enforcement: true\n"
     "  steps: [{name: a}]\n",
     {"5:16: enforcement: found the boolean true, expected standard or strict"}},
    {"limits that are a number",
     "spec:\n"
     "  limits: 16\n"
     "  steps: [{name: a}]\n",
     {"5:11: limits: found the number 16, expected a mapping"}},
    {"a limit that is a string",
     "spec:\n"
     "  limits: {conntrack: \"16\"}\n"
     "  steps: [{name: a}]\n",
     {"5:23: conntrack: found \"16\", expected a number from 1 to 67108864"}},
    {"a limit with a fraction",
     "spec:\n"
     "  limits: {conntrack: 1.5}\n"
     "  steps: [{name: a}]\n",
     {"5:23: conntrack: found the number 1.5, expected a number from 1 to 67108864"}},
    {"a limit of more than 64 bits",
     "spec:\n"
     "  limits: {conntrack: 99999999999999999999}\n"
     "  steps: [{name: a}]\n",
     {"5:23: conntrack: found the number 99999999999999999999, expected a number from 1 to 67108864"}},
    {"manifests that are a string",
     "spec:\n"
     "  manifests: a.yaml\n"
     "  steps: [{name: a}]\n",
     {"5:14: manifests: found \"a.yaml\", expected a list"}},
    {"a manifest that is a mapping",
     "spec:\n"
     "  manifests: [{file: a.yaml}]\n"
     "  steps: [{name: a}]\n",
     {"5:15: manifests: found a mapping, expected the path of a file"}},
    {"a manifest without a name",
     "spec:\n"
     "  manifests: [\"\"]\n"
     "  steps: [{name: a}]\n",
     {"5:15: manifests: found \"\", expected the path of a file"}},
    {"steps that are a mapping",
     "spec:\n"
     "  steps: {name: a}\n",
     {"5:10: steps: found a mapping, expected a list"}},
    {"a step that is a string",
     "spec:\n"
     "  steps: [a]\n",
     {"5:11: steps: found \"a\", expected a mapping in the list"}},
    {"deletes that are a mapping",
     "spec:\n"
     "  steps:\n"
     "  - {delete: {kind: Pod, name: a}}\n",
     {"6:14: delete: found a mapping, expected a list"}},
    {"a delete that is a string",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [x/a]}\n",
     {"6:15: delete: found \"x/a\", expected a mapping in the list"}},
    {"a delete of a name that is a number",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Pod, name: 1}]}\n",
     {"6:33: name: found the number 1, expected a string (in quotes)"}},
    {"a delete in a namespace that is a number",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Pod, name: a, namespace: 1}]}\n",
     {"6:47: namespace: found the number 1, expected a string (in quotes)"}},
    {"a delete of a kind that is a list",
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: [Pod], name: a}]}\n",
     {"6:22: kind: found a list, expected a string"}},
    {"objects that are a mapping",
     "spec:\n"
     "  steps:\n"
     "  - {apply: {apiVersion: v1, kind: Pod, metadata: {name: a}}}\n",
     {"6:13: apply: found a mapping, expected a list"}},
    {"an object that is a string",
     "spec:\n"
     "  steps:\n"
     "  - {apply: [x/a]}\n",
     {"6:14: object: found \"x/a\", expected a mapping with apiVersion and kind"}},
    {"an object without a kind",
     "spec:\n"
     "  steps:\n"
     "  - {apply: [{apiVersion: v1}]}\n",
     {"6:14: kind: found nothing, expected a kind like Pod"}},
    {"probes that are a mapping",
     "spec:\n"
     "  steps:\n"
     "  - {probes: {from: x/a}}\n",
     {"6:14: probes: found a mapping, expected a list"}},
    {"packets that are a string",
     "spec:\n"
     "  steps:\n"
     "  - {packets: x/a}\n",
     {"6:15: packets: found \"x/a\", expected a list"}},
    {"a packet that is a list",
     "spec:\n"
     "  steps:\n"
     "  - {packets: [[x/a]]}\n",
     {"6:16: packets: found a list, expected a mapping in the list"}},
    {"a replay that is a list",
     "spec:\n"
     "  steps:\n"
     "  - {replay: [a.pcap]}\n",
     {"6:14: replay: found a list, expected a mapping"}},
    {"a replay's expectation that is a word",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, expect: allow}}\n",
     {"6:40: expect: found \"allow\", expected a mapping"}},
    {"a replay's expectation that compares nothing",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, expect: {}}}\n",
     {"6:40: expect compares nothing, expected allowed or denied"}},
    {"an unknown key in a replay's expectation",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, expect: {allow: 1}}}\n",
     {"6:41: found the key \"allow\" in expect, expected allowed or denied; did you mean allowed?",
      "6:40: expect compares nothing, expected allowed or denied"}},
    {"a negative number of packets",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, expect: {allowed: -1}}}\n",
     {"6:50: allowed: found the number -1, expected a number from 0 to 1099511627776"}},
    {"a capture that is a number",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: 7, expect: {allowed: 1}}}\n",
     {"6:24: capture: found the number 7, expected a string (in quotes)"}},
    {"an empty capture",
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: \"\", expect: {allowed: 1}}}\n",
     {"6:24: capture: found \"\", expected the path of a file"}},
    {"a negative advance",
     "spec:\n"
     "  steps:\n"
     "  - {advance: -30s}\n",
     {"6:15: advance: found \"-30s\", expected a duration like 30s, 1m30s or 250ms"}},
    {"an advance that is a list",
     "spec:\n"
     "  steps:\n"
     "  - {advance: [30s]}\n",
     {"6:15: advance: found a list, expected a duration like 30s, 1m30s or 250ms"}},
    {"an advance of a century",
     "spec:\n"
     "  steps:\n"
     "  - {advance: 876000h}\n",
     {"6:15: advance: found \"876000h\", expected a duration like 30s, 1m30s or 250ms"}},
    {"a probe with an end that is a list",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: [x/a], to: x/b, port: 80, expect: allow}]\n",
     {"6:21: from: found a list, expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"a port that is a list",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: [80], expect: allow}]\n",
     {"6:41: port: found a list, expected a port number from 1 to 65535"}},
    {"a port with a fraction",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: 80.5, expect: allow}]\n",
     {"6:41: port: found the number 80.5, expected a port number from 1 to 65535"}},
    {"a negative port",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: -80, expect: allow}]\n",
     {"6:41: port: found the number -80, expected a port number from 1 to 65535"}},
    {"a port name longer than 15 characters",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: a-very-long-name, expect: allow}]\n",
     {"6:41: port: found \"a-very-long-name\", expected a port name of at most 15 characters"}},
    {"a port name without a letter",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: \"80-81\", expect: allow}]\n",
     {"6:41: port: found \"80-81\", expected a port number without quotes, or a port name with at least one "
      "lower-case letter"}},
    {"a port name with two hyphens in a row",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: a--b, expect: allow}]\n",
     {"6:41: port: found \"a--b\", expected a port name of lower-case letters, digits and single '-' "
      "inside"}},
    {"a port name that begins with a hyphen",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: -http, expect: allow}]\n",
     {"6:41: port: found \"-http\", expected a port name of lower-case letters, digits and single '-' "
      "inside"}},
    {"a port name that ends with a hyphen",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: http-, expect: allow}]\n",
     {"6:41: port: found \"http-\", expected a port name of lower-case letters, digits and single '-' "
      "inside"}},
    {"an empty port",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: \"\", expect: allow}]\n",
     {"6:41: port: found \"\", expected a port number without quotes, or a port name with at least one "
      "lower-case letter"}},
    {"a protocol that is a number",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: 80, protocol: 6, expect: allow}]\n",
     {"6:55: protocol: found the number 6, expected TCP, UDP, SCTP or ICMP"}},
    {"an empty end",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: \"\", to: x/b, port: 80, expect: allow}]\n",
     {"6:21: from: found \"\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"a Service with a wildcard",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: \"service:x/*\", port: 80, expect: allow}]\n",
     {"6:30: to: found \"service:x/*\", expected service:namespace/name"}},
    {"a node with a wildcard",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: \"node:*\", to: x/b, port: 80, expect: allow}]\n",
     {"6:21: from: found \"node:*\", expected node: with the name of a node"}},
    {"a length that is negative",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, length: -1, expect: {verdict: deny}}]\n",
     {"6:71: length: found the number -1, expected a number from 0 to 65535"}},
    {"VLAN tags that are a number",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, vlan: 10, expect: {verdict: deny}}]\n",
     {"6:69: vlan: found the number 10, expected a list"}},
    {"content that is a list",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: [1, 2], expect: {verdict: deny}}]\n",
     {"6:41: udp: found a list, expected a mapping"}},
    {"a frame that is a list",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, frame: [0, 1], expect: {verdict: deny}}]\n",
     {"6:43: frame: found a list, expected hex digits of 14 to 65535 bytes"}},
    {"options that are a mapping",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, options: {a: b}, expect: {verdict: "
     "deny}}]\n",
     {"6:72: options: found a mapping, expected hex digits of 4 to 40 bytes"}},
    {"options of more than 40 bytes",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, options: "
     "\"0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101\", expect: "
     "{verdict: deny}}]\n",
     {"6:72: options: found \"010101010101010101010101010101010101010101010101010101010101\xe2\x80\xa6\", "
      "expected hex digits of 4 to 40 bytes"}},
    {"a time without a unit",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, at: 5, expect: {verdict: deny}}]\n",
     {"6:67: at: found the number 5, expected a duration like 30s, 1m30s or 250ms"}},
    {"a negative time",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2}, at: -1ms, expect: {verdict: deny}}]\n",
     {"6:67: at: found \"-1ms\", expected a duration like 30s, 1m30s or 250ms"}},
};

TEST(ScenarioReader, refuses_each_of_these_values_with_place_found_and_expected) {
  for (const auto& row : kValues) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + row.text), row.messages);
  }
}

}  // namespace
}  // namespace postern::sim
