// SPDX-License-Identifier: Apache-2.0
// What is refused in a scenario file: each row with every message it gives, and its place.
#include "test/unit/scenario/refusals.h"

namespace postern::sim {
namespace {

const Row kFiles[] = {
    {"an unknown key at the top",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n"
     "extra: 1\n",
     {"5:1: found the key \"extra\" in a scenario, expected apiVersion, kind, metadata or spec"}},
    {"an unknown key in metadata",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s, annotations: {}}\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:21: found the key \"annotations\" in metadata, expected name or labels"}},
    {"a wrong apiVersion",
     "apiVersion: postern.dev/v1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n",
     {"1:13: apiVersion: found \"postern.dev/v1\", expected postern.dev/v1alpha1"}},
    {"no apiVersion",
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n",
     {"1:1: a scenario has no apiVersion, expected one"}},
    {"no metadata",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "spec: {steps: [{name: a}]}\n",
     {"1:1: a scenario has no metadata, expected one"}},
    {"no name",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {labels: {a: b}}\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:11: metadata has no name, expected one"}},
    {"an empty name",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: \"\"}\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:18: name: found \"\", expected a name"}},
    {"a name of two lines",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: \"s\\n1 passed, 0 failed\"}\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:18: name: found \"s\\x0a1 passed, 0 failed\", expected a name without control characters"}},
    {"a step's name that moves the cursor",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: \"\\e[2J\"}]}\n",
     {"4:23: name: found \"\\x1b[2J\", expected a name without control characters"}},
    {"a label that is a number",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s, labels: {a: 1}}\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:33: labels.a: found the number 1, expected a string (in quotes)"}},
    {"no spec",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n",
     {"1:1: a scenario has no spec, expected one"}},
    {"a spec that is a list",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: []\n",
     {"4:7: spec: found an empty list, expected a mapping"}},
    {"no steps",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  description: nothing happens\n",
     {"5:3: spec has no steps, expected one"}},
    {"empty steps",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps: []\n",
     {"5:10: steps: found an empty list, expected at least one step"}},
    {"a misspelt key in spec",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  step: []\n"
     "  steps: [{name: a}]\n",
     {"5:3: found the key \"step\" in spec, expected description, ipFamily, enforcement, "
      "serviceIpBlocks, establishedFlows, nodeConntrack, midflowGrace, limits, manifests or steps; did you mean steps?"}},
    {"an unknown enforcement",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  enforcement: lax\n"
     "  steps: [{name: a}]\n",
     {"5:16: enforcement: found \"lax\", expected standard or strict"}},
    {"an unknown serviceIpBlocks",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  serviceIpBlocks: none\n"
     "  steps: [{name: a}]\n",
     {"5:20: serviceIpBlocks: found \"none\", expected meaning or compat"}},
    {"an unknown ipFamily",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  ipFamily: ipv4\n"
     "  steps: [{name: a}]\n",
     {"5:13: ipFamily: found \"ipv4\", expected IPv4, IPv6 or DualStack"}},
    {"an unknown establishedFlows",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  establishedFlows: drop\n"
     "  steps: [{name: a}]\n",
     {"5:21: establishedFlows: found \"drop\", expected reevaluate or keep"}},
    {"an unknown limit",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  limits: {flows: 1}\n"
     "  steps: [{name: a}]\n",
     {"5:12: found the key \"flows\" in limits, expected conntrack, fragments or peers"}},
    {"a limit of zero",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  limits: {conntrack: 0}\n"
     "  steps: [{name: a}]\n",
     {"5:23: conntrack: found the number 0, expected a number from 1 to 67108864"}},
    {"a duplicate key",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps: [{name: a}]\n"
     "  steps: [{name: b}]\n",
     {"6:3: found the key \"steps\" twice in one mapping, expected once"}},
    {"an unknown key in a step",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {name: a, probe: []}\n",
     {"6:15: found the key \"probe\" in a step, expected name, delete, apply, advance, probes, packets "
      "or replay; did you mean probes?"}},
    {"a step name that is a number",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {name: 1}\n",
     {"6:12: name: found the number 1, expected a string (in quotes)"}},
    {"an advance without a unit",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {advance: 30}\n",
     {"6:15: advance: found the number 30, expected a duration like 30s, 1m30s or 250ms"}},
    {"an advance with a fraction",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {advance: 1.5s}\n",
     {"6:15: advance: found \"1.5s\", expected a duration like 30s, 1m30s or 250ms"}},
    {"an advance with units out of order",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {advance: 30s1m}\n",
     {"6:15: advance: found \"30s1m\", expected a duration like 30s, 1m30s or 250ms"}},
    {"a negative advance",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {advance: -1s}\n",
     {"6:15: advance: found \"-1s\", expected a duration like 30s, 1m30s or 250ms"}},
    {"an unknown key in a delete",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Pod, name: a, ns: x}]}\n",
     {"6:36: found the key \"ns\" in a delete, expected kind, name or namespace"}},
    {"a delete without a kind",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{name: a}]}\n",
     {"6:15: a delete has no kind, expected one"}},
    {"a delete without a name",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Pod}]}\n",
     {"6:15: a delete has no name, expected one"}},
    {"a delete of a misspelt kind",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: NetworkPolcy, name: a}]}\n",
     {"6:22: kind: found \"NetworkPolcy\", expected a kind that policy depends on; did you mean "
      "NetworkPolicy, AdminNetworkPolicy or ClusterNetworkPolicy?"}},
    {"a delete of a kind of the whole cluster in a namespace",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: ClusterNetworkPolicy.networking.k8s.aws, name: a, namespace: x}]}\n",
     {"6:83: namespace: found \"x\", expected none for a ClusterNetworkPolicy.networking.k8s.aws"}},
    {"a delete of a kind in the wrong group",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: AdminNetworkPolicy.networking.k8s.aws, name: a}]}\n",
     {"6:22: kind: found \"AdminNetworkPolicy.networking.k8s.aws\", expected a kind that policy depends on; did you mean "
      "ClusterNetworkPolicy.networking.k8s.aws?"}},
    {"a delete of a node in a namespace",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {delete: [{kind: Node, name: a, namespace: x}]}\n",
     {"6:48: namespace: found \"x\", expected none for a Node"}},
    {"an object that is wrong",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: v1, kind: Pod, metadata: {name: A}}\n",
     {"7:52: metadata.name: found \"A\", expected a name of lower-case letters, digits, '-' and '.', "
      "at most 253 long"}},
    {"a policy that is wrong",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - apply:\n"
     "    - {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: "
     "{ingress: [{from: [{}]}]}}\n",
     {"7:109: peer: found no field, expected podSelector, namespaceSelector or ipBlock"}},
    {"a replay without a capture",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {replay: {expect: {allowed: 1}}}\n",
     {"6:14: replay has no capture, expected one"}},
    {"a replay without an expectation",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap}}\n",
     {"6:14: replay has no expect, expected one"}},
    {"an unknown vantage",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, vantage: node, expect: {denied: 0}}}\n",
     {"6:41: vantage: found \"node\", expected pod-veth"}},
    {"an unknown key in a replay",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  steps:\n"
     "  - {replay: {capture: a.pcap, file: b, expect: {denied: 0}}}\n",
     {"6:32: found the key \"file\" in replay, expected capture, vantage or "
      "expect"}},
    {"a misspelt kind",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenaro\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n",
     {"2:7: kind: found \"Scenaro\", expected Scenario; did you mean "
      "Scenario?"}},
    {"no kind, but our apiVersion",
     "apiVersion: postern.dev/v1alpha1\n"
     "metadata: {name: s}\n",
     {"1:1: kind: found nothing, expected Scenario"}},
    {"a kind of somebody else's apiVersion",
     "apiVersion: v1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n",
     {"1:13: apiVersion: found \"v1\", expected postern.dev/v1alpha1"}},
    {"metadata that is a string",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: s\n"
     "spec: {steps: [{name: a}]}\n",
     {"3:11: metadata: found \"s\", expected a mapping"}},
    {"a scenario after another document",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "---\n"
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n",
     {"4:1: found a scenario after another document (Pod), expected one "
      "scenario in a file"}},
    {"a second document",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n"
     "---\n"
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec: {steps: [{name: a}]}\n",
     {"6:1: found a second document (Scenario), expected one scenario in a file"}},
    {"several errors at once",
     "apiVersion: postern.dev/v1alpha1\n"
     "kind: Scenario\n"
     "metadata: {name: s}\n"
     "spec:\n"
     "  enforcement: lax\n"
     "  steps:\n"
     "  - probes:\n"
     "    - {from: a, to: x/b, port: 80, expect: allow}\n"
     "    - {from: x/a, to: x/b, port: 0, expect: maybe}\n",
     {"5:16: enforcement: found \"lax\", expected standard or strict",
      "8:14: from: found \"a\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address",
      "9:34: port: found the number 0, expected a port number from 1 to 65535",
      "9:45: expect: found \"maybe\", expected deny or allow"}},
};

TEST(ScenarioReader, refuses_each_of_these_files_with_place_found_and_expected) {
  for (const auto& row : kFiles) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(row.text), row.messages);
  }
}

const Row kProbes[] = {
    {"an unknown key in a probe",
     "{from: x/a, to: x/b, port: 80, expected: allow, expect: allow}",
     {"7:38: found the key \"expected\" in a probe, expected from, to, port, protocol or expect; did "
      "you mean expect?"}},
    {"a probe without from",
     "{to: x/b, port: 80, expect: allow}",
     {"7:7: a probe has no from, expected one"}},
    {"a probe without to", "{from: x/b, port: 80, expect: allow}", {"7:7: a probe has no to, expected one"}},
    {"a probe without an expectation",
     "{from: x/a, to: x/b, port: 80}",
     {"7:7: a probe has no expect, expected one"}},
    {"an unknown expectation",
     "{from: x/a, to: x/b, port: 80, expect: permit}",
     {"7:46: expect: found \"permit\", expected deny or allow"}},
    {"an expectation that is a boolean",
     "{from: x/a, to: x/b, port: 80, expect: true}",
     {"7:46: expect: found the boolean true, expected deny or allow"}},
    {"an unknown protocol",
     "{from: x/a, to: x/b, port: 80, protocol: tcp, expect: allow}",
     {"7:48: protocol: found \"tcp\", expected TCP, UDP, SCTP or ICMP"}},
    {"TCP without a port",
     "{from: x/a, to: x/b, expect: allow}",
     {"7:7: a probe has no port, expected a number or a name"}},
    {"ICMP with a port",
     "{from: x/a, to: x/b, protocol: ICMP, port: 80, expect: allow}",
     {"7:50: port: found the number 80, expected none for ICMP"}},
    {"a port above 65535",
     "{from: x/a, to: x/b, port: 65536, expect: allow}",
     {"7:34: port: found the number 65536, expected a port number from 1 to 65535"}},
    {"a port number in quotes",
     "{from: x/a, to: x/b, port: \"80\", expect: allow}",
     {"7:34: port: found \"80\", expected a port number without quotes, or a port name with at least "
      "one lower-case letter"}},
    {"an end without a slash",
     "{from: a, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"a\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an end with two slashes",
     "{from: x/a/b, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"x/a/b\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an end with an empty name",
     "{from: x/, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"x/\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an end with a question mark",
     "{from: \"x/a?\", to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"x/a?\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an end that is a block",
     "{from: 10.0.0.0/8, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"10.0.0.0/8\", expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an end that is a number",
     "{from: 7, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found the number 7, expected namespace/pod (with * as a wildcard), node:NAME, "
      "service:namespace/name or an address"}},
    {"an address with a leading zero",
     "{from: 10.0.0.01, to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"10.0.0.01\", expected four numbers from 0 to 255 "
      "without leading zeros"}},
    {"an address of the other family",
     "{from: \"2001:db8::1\", to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"2001:db8::1\", expected an address of the "
      "scenario's family, IPv4"}},
    {"a node without a name",
     "{from: \"node:\", to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"node:\", expected node: with the name of a node"}},
    {"a Service in from",
     "{from: \"service:x/s\", to: x/b, port: 80, expect: allow}",
     {"7:14: from: found \"service:x/s\", expected a Service only in to"}},
    {"a Service without a name",
     "{from: x/a, to: \"service:x\", port: 80, expect: allow}",
     {"7:23: to: found \"service:x\", expected service:namespace/name"}},
    {"a probe that is a string", "x/a", {"7:7: probes: found \"x/a\", expected a mapping in the list"}},
};

TEST(ScenarioReader, refuses_each_of_these_probes_with_place_found_and_expected) {
  for (const auto& row : kProbes) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + "spec:\n  steps:\n  - probes:\n    - " + row.text + "\n"), row.messages);
  }
}

}  // namespace
}  // namespace postern::sim
