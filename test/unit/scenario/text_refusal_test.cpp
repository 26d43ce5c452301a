// SPDX-License-Identifier: Apache-2.0
// Text that is not YAML 1.2 or not UTF-8, keys that stand twice, addresses in
// unusual notation.
#include "test/unit/scenario/refusals.h"

namespace postern::sim {
namespace {

const Row kTexts[] = {
    {"a duplicate key in a step",
     "spec:\n"
     "  steps:\n"
     "  - {name: a, advance: 1s, name: b}\n",
     {"6:28: found the key \"name\" twice in one mapping, expected once"}},
    {"a duplicate key in a probe",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: 80, expect: allow, expect: deny}]\n",
     {"6:60: found the key \"expect\" twice in one mapping, expected once"}},
    {"a duplicate key in a packet's content",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, udp: {sport: 1, dport: 2, sport: 3}, expect: {verdict: deny}}]\n",
     {"6:62: found the key \"sport\" twice in one mapping, expected once"}},
    {"a duplicate key in limits",
     "spec:\n"
     "  limits: {conntrack: 1, conntrack: 2}\n"
     "  steps: [{name: a}]\n",
     {"5:26: found the key \"conntrack\" twice in one mapping, expected once"}},
    {"a duplicate key in an object",
     "spec:\n"
     "  steps:\n"
     "  - apply: [{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {k: v, k: w}}}]\n",
     {"6:76: found the key \"k\" twice in one mapping, expected once"}},
    {"a duplicate key in a field that no policy depends on",
     "spec:\n"
     "  steps:\n"
     "  - apply: [{apiVersion: v1, kind: ConfigMap, data: {k: v, k: w}}]\n",
     {"6:60: found the key \"k\" twice in one mapping, expected once"}},
    {"yes, which YAML 1.1 made a boolean",
     "spec:\n"
     "  steps:\n"
     "  - packets: [{from: x/a, to: x/b, fragment: {more: yes}, ip: {protocol: 4}, expect: {verdict: "
     "deny}}]\n",
     {"6:53: more: found \"yes\", expected true or false"}},
    {"a number with underscores, which YAML 1.1 had",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: 8_080, expect: deny}]\n",
     {"6:41: port: found \"8_080\", expected a port number without quotes, or a port name with at least one "
      "lower-case letter"}},
    {"a sexagesimal number, which YAML 1.1 had",
     "spec:\n"
     "  steps:\n"
     "  - probes: [{from: x/a, to: x/b, port: 1:30, expect: deny}]\n",
     {"6:41: port: found \"1:30\", expected a port number without quotes, or a port name with at least one "
      "lower-case letter"}},
    {"a tag of one's own",
     "spec:\n"
     "  description: !mine words\n"
     "  steps: [{name: a}]\n",
     {"5:16: found the tag !mine, expected none, or one of the core schema that fits"}},
    {"a tab as indentation",
     "spec:\n"
     "  limits:\n"
     "\tconntrack: 1\n"
     "  steps: [{name: a}]\n",
     {"6:2: not YAML 1.2: found a tab as indentation, expected spaces"}},
    {"an alias of nothing",
     "spec:\n"
     "  description: *words\n"
     "  steps: [{name: a}]\n",
     {"5:16: not YAML 1.2: the referenced anchor is not defined"}},
    {"an alias inside its own value",
     "spec:\n"
     "  limits: &l {conntrack: *l}\n"
     "  steps: [{name: a}]\n",
     {"5:26: found an alias inside the value it stands for, expected it after"}},
    {"a text that is not closed",
     "spec:\n"
     "  description: \"words\n"
     "  steps: [{name: a}]\n",
     {"5:3: spec has no steps, expected one",
      "5:16: found a text in quotes that is not closed, expected it to end"}},
    {"a list that is not closed",
     "spec:\n"
     "  manifests: [a.yaml\n"
     "  steps: [{name: a}]\n",
     {"6:8: not YAML 1.2: end of sequence flow not found"}},
    {"text after the end",
     "spec: {steps: [{}]}\n"
     "... more\n",
     {"5:5: found more text after the end of a document, expected --- before another"}},
    {"a key without a value", "spec\n", {"4:1: found \"spec\" without a colon, expected a key and a value"}},
    {"a list as a key",
     "spec:\n"
     "  ? [a, b]\n"
     "  : c\n"
     "  steps: [{}]\n",
     {"5:5: found a list that is a key or is not closed, expected a scalar as key"}},
    {"a control character",
     "spec:\n"
     "  description: a\x01" "b\n"
     "  steps: [{name: a}]\n",
     {"5:17: found the control character 0x01, expected text"}},
    {"a byte that is not UTF-8",
     "spec:\n"
     "  description: a\xff" "b\n"
     "  steps: [{name: a}]\n",
     {"5:17: found the byte 0xff, expected UTF-8 text"}},
    {"a Latin-1 letter",
     "spec:\n"
     "  description: caf\xe9\n"
     "  steps: [{name: a}]\n",
     {"5:19: found the byte 0xe9, expected UTF-8 text"}},
    {"a scenario after another scenario",
     "spec: {steps: [{}]}\n"
     "---\n"
     "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
     "---\n"
     "{apiVersion: v1, kind: Pod, metadata: {name: b}}\n",
     {"6:1: found a second document (Pod), expected one scenario in a file"}},
};

TEST(ScenarioReader, refuses_each_of_these_texts_with_place_found_and_expected) {
  for (const auto& row : kTexts) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(kTop + row.text), row.messages);
  }
}

struct AddressRow {
  const char* name;
  const char* family;
  const char* address;
  const char* expected_as_end;
  const char* expected_of_pod;
};

constexpr const char* kAnyEnd =
    "namespace/pod (with * as a wildcard), node:NAME, service:namespace/name or an address";
constexpr const char* kAnyAddress = "an address like 10.0.0.1 or 2001:db8::1";

const AddressRow kAddresses[] = {
    {"a leading zero", "IPv4", "10.0.0.01", "four numbers from 0 to 255 without leading zeros",
     "four numbers from 0 to 255 without leading zeros"},
    {"three numbers", "IPv4", "10.0.1", kAnyEnd, kAnyAddress},
    {"a number above 255", "IPv4", "10.0.0.256", "four numbers from 0 to 255 without leading zeros",
     "four numbers from 0 to 255 without leading zeros"},
    {"hexadecimal", "IPv4", "0x0a000001", kAnyEnd, kAnyAddress},
    {"one number", "IPv4", "167772161", kAnyEnd, kAnyAddress},
    {"a space before it", "IPv4", " 10.0.0.1", kAnyEnd, kAnyAddress},
    {"a length behind it", "IPv4", "10.0.0.1/32", kAnyEnd, kAnyAddress},
    {"IPv4 inside IPv6", "IPv6", "::ffff:10.0.0.1", "an IPv4 address on its own, not inside an IPv6 address",
     "an IPv4 address on its own, not inside an IPv6 address"},
    {"IPv4 inside IPv6, in hexadecimal", "IPv6", "::ffff:a00:1", "an IPv6 address in its usual notation",
     "an IPv6 address in its usual notation"},
    {"a zone", "IPv6", "fe80::1%eth0", "an IPv6 address without a zone", "an IPv6 address without a zone"},
    {"brackets", "IPv6", "[2001:db8::1]", kAnyEnd, kAnyAddress},
    {"two gaps", "IPv6", "2001::db8::1", "an IPv6 address in its usual notation",
     "an IPv6 address in its usual notation"},
    {"a group of five digits", "IPv6", "2001:0db80::1", "an IPv6 address in its usual notation",
     "an IPv6 address in its usual notation"},
    {"seven groups", "IPv6", "1:2:3:4:5:6:7", "an IPv6 address in its usual notation",
     "an IPv6 address in its usual notation"},
    {"nine groups", "IPv6", "1:2:3:4:5:6:7:8:9", "an IPv6 address in its usual notation",
     "an IPv6 address in its usual notation"},
};

TEST(ScenarioReader, refuses_addresses_in_any_but_the_usual_notation) {
  for (const auto& row : kAddresses) {
    SCOPED_TRACE(row.name);
    const std::string quoted = std::string("\"") + row.address + "\"";
    const std::string steps = kTop + "spec:\n  ipFamily: " + row.family + "\n  steps:\n  - ";
    EXPECT_EQ(messages_of(steps + "probes: [{from: " + quoted + ", to: x/b, port: 80, expect: allow}]\n"),
              std::vector<std::string>{"7:21: from: found " + quoted + ", expected " + row.expected_as_end});
    EXPECT_EQ(
        messages_of(steps + "apply: [{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: " +
                    quoted + "}}]\n"),
        std::vector<std::string>{"7:78: podIP: found " + quoted + ", expected " + row.expected_of_pod});
  }
}

TEST(ScenarioReader, refuses_probes_at_addresses_that_no_host_has) {
  const std::string steps = kTop + "spec:\n  ipFamily: DualStack\n  steps:\n  - ";
  for (const std::string address : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1",
                                    "fe80::1"}) {
    const std::string quoted = '"' + address + '"';
    EXPECT_EQ(messages_of(steps + "probes: [{from: x/a, to: " + quoted + ", port: 80, expect: allow}]\n"),
              std::vector<std::string>{"7:30: to: found " + quoted +
                                       ", expected an address of a host: not unspecified, loopback, multicast, "
                                       "broadcast or link-local IPv6"});
  }
  // A single packet may go anywhere.
  EXPECT_EQ(messages_of(steps + "packets: [{at: 0ms, from: x/a, to: \"ff02::1\", icmp: {type: 135, code: 0},"
                                " expect: {verdict: allow}}]\n"),
            std::vector<std::string>{});
}

TEST(ScenarioReader, refuses_addresses_of_the_other_family) {
  const auto probe = [](const std::string& family, const std::string& address) {
    return messages_of(kTop + "spec:\n  ipFamily: " + family + "\n  steps:\n  - probes: [{from: x/a, to: \"" +
                       address + "\", port: 80, expect: allow}]\n");
  };
  EXPECT_EQ(probe("IPv4", "2001:db8::1"),
            std::vector<std::string>{
                "7:30: to: found \"2001:db8::1\", expected an address of the scenario's family, IPv4"});
  EXPECT_EQ(probe("IPv6", "10.0.0.1"),
            std::vector<std::string>{
                "7:30: to: found \"10.0.0.1\", expected an address of the scenario's family, IPv6"});
  EXPECT_EQ(probe("IPv4", "10.0.0.1"), std::vector<std::string>{});
  EXPECT_EQ(probe("IPv6", "2001:db8::1"), std::vector<std::string>{});
  EXPECT_EQ(probe("DualStack", "2001:db8::1"), std::vector<std::string>{});
  EXPECT_EQ(probe("DualStack", "10.0.0.1"), std::vector<std::string>{});
}

}  // namespace
}  // namespace postern::sim
