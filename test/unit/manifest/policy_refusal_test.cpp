// SPDX-License-Identifier: Apache-2.0
// What is refused in the rules of a NetworkPolicy: each row is one rule, and the whole message with
// its place. Line 7, because five lines stand above; columns count from 1.
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"

namespace postern::manifest {
namespace {

struct RefusedRule {
  const char* name;
  const char* rule;
  const char* message;  // without the file name
};

const RefusedRule kRefusedRules[] = {
    {"endPort without a port", "ports: [{endPort: 90}]",
     "7:23: endPort: found 90 without a port, expected a numeric port beside it"},
    {"endPort with a named port", "ports: [{port: web, endPort: 90}]",
     "7:34: endPort: found 90 with the named port \"web\", expected a numeric port"},
    {"endPort below the port", "ports: [{port: 80, endPort: 79}]",
     "7:33: endPort 79 is below port 80, expected an endPort that is not"},
    {"endPort above 65535", "ports: [{port: 80, endPort: 65536}]",
     "7:33: endPort: found the number 65536, expected a port number from 1 to 65535"},
    {"a port of zero", "ports: [{port: 0}]",
     "7:20: port: found the number 0, expected a port number from 1 to 65535"},
    {"a port above 65535", "ports: [{port: 70000}]",
     "7:20: port: found the number 70000, expected a port number from 1 to 65535"},
    {"a negative port", "ports: [{port: -1}]",
     "7:20: port: found the number -1, expected a port number from 1 to 65535"},
    {"a port that is no whole number", "ports: [{port: 80.5}]",
     "7:20: port: found the number 80.5, expected a port number from 1 to 65535"},
    {"a port number in quotes", "ports: [{port: \"80\"}]",
     "7:20: port: found \"80\", expected a port number without quotes, or a port name with at least "
     "one lower-case letter"},
    {"a port name longer than 15 characters", "ports: [{port: sixteen-letters-}]",
     "7:20: port: found \"sixteen-letters-\", expected a port name of at most 15 characters"},
    {"a port name without a letter", "ports: [{port: \"1-2\"}]",
     "7:20: port: found \"1-2\", expected a port number without quotes, or a port name with at least "
     "one lower-case letter"},
    {"a port name with an upper-case letter", "ports: [{port: Web}]",
     "7:20: port: found \"Web\", expected a port name of lower-case letters, digits and single '-' "
     "inside"},
    {"a port name with two hyphens in a row", "ports: [{port: a--b}]",
     "7:20: port: found \"a--b\", expected a port name of lower-case letters, digits and single '-' "
     "inside"},
    {"a port name that ends with a hyphen", "ports: [{port: http-}]",
     "7:20: port: found \"http-\", expected a port name of lower-case letters, digits and single '-' "
     "inside"},
    {"a port name of 16 characters", "ports: [{port: sixteen-letters1}]",
     "7:20: port: found \"sixteen-letters1\", expected a port name of at most 15 characters"},
    {"an empty port name", "ports: [{port: \"\"}]",
     "7:20: port: found \"\", expected a port number without quotes, or a port name with at least "
     "one lower-case letter"},
    {"an endPort that is a name", "ports: [{port: 80, endPort: web}]",
     "7:33: endPort: found \"web\", expected a port number from 1 to 65535"},
    {"an endPort of zero", "ports: [{port: 80, endPort: 0}]",
     "7:33: endPort: found the number 0, expected a port number from 1 to 65535"},
    {"a protocol that is a number", "ports: [{port: 80, protocol: 6}]",
     "7:34: protocol: found the number 6, expected TCP, UDP or SCTP"},
    {"an unknown protocol", "ports: [{port: 80, protocol: tcp}]",
     "7:34: protocol: found \"tcp\", expected TCP, UDP or SCTP"},
    {"ICMP as a protocol", "ports: [{protocol: ICMP}]",
     "7:24: protocol: found \"ICMP\", expected TCP, UDP or SCTP"},
    {"ports that are no list", "ports: {port: 80}", "7:12: ports: found a mapping, expected a list"},
    {"a port entry that is a number", "ports: [80]",
     "7:13: ports: found the number 80, expected a mapping in the list"},
    {"except outside its cidr", "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]",
     "7:50: except: found \"11.0.0.0/16\", expected a block inside 10.0.0.0/8 and narrower"},
    {"except as wide as its cidr", "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]",
     "7:50: except: found \"10.0.0.0/8\", expected a block inside 10.0.0.0/8 and narrower"},
    {"except wider than its cidr", "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [0.0.0.0/0]}}]",
     "7:50: except: found \"0.0.0.0/0\", expected a block inside 10.0.0.0/8 and narrower"},
    {"except of the other family", "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [\"2001:db8::/32\"]}}]",
     "7:50: except: found \"2001:db8::/32\", expected a block inside 10.0.0.0/8 and narrower"},
    {"ipBlock without a cidr", "from: [{ipBlock: {except: [10.0.0.0/8]}}]",
     "7:22: cidr: found nothing, expected a block of addresses like 10.0.0.0/8"},
    {"a cidr without a length", "from: [{ipBlock: {cidr: 10.0.0.1}}]",
     "7:29: cidr: found \"10.0.0.1\", expected a block with its length, 10.0.0.1/32"},
    {"a cidr with a leading zero", "from: [{ipBlock: {cidr: 010.0.0.0/8}}]",
     "7:29: cidr: found \"010.0.0.0/8\", expected four numbers from 0 to 255 without leading zeros"},
    {"a cidr with a length above 32", "from: [{ipBlock: {cidr: 10.0.0.0/33}}]",
     "7:29: cidr: found \"10.0.0.0/33\", expected a length from 0 to 32"},
    {"a cidr of IPv4 inside IPv6", "from: [{ipBlock: {cidr: \"::ffff:10.0.0.0/104\"}}]",
     "7:29: cidr: found \"::ffff:10.0.0.0/104\", expected an IPv4 address on its own, not inside an IPv6 "
     "address"},
    {"a cidr with a zone", "from: [{ipBlock: {cidr: \"fe80::1%eth0/64\"}}]",
     "7:29: cidr: found \"fe80::1%eth0/64\", expected an IPv6 address without a zone"},
    {"a cidr with a length above 128", "from: [{ipBlock: {cidr: \"2001:db8::/129\"}}]",
     "7:29: cidr: found \"2001:db8::/129\", expected a length from 0 to 128"},
    {"a cidr with a leading zero in its length", "from: [{ipBlock: {cidr: 10.0.0.0/08}}]",
     "7:29: cidr: found \"10.0.0.0/08\", expected a length from 0 to 32"},
    {"a cidr with a mask", "from: [{ipBlock: {cidr: 10.0.0.0/255.0.0.0}}]",
     "7:29: cidr: found \"10.0.0.0/255.0.0.0\", expected a length from 0 to 32"},
    {"a cidr that is a name", "from: [{ipBlock: {cidr: all}}]",
     "7:29: cidr: found \"all\", expected a block of addresses like 10.0.0.0/8 or 2001:db8::/32"},
    {"an except without a length", "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.1]}}]",
     "7:50: except: found \"10.0.0.1\", expected a block with its length, 10.0.0.1/32"},
    {"an except of IPv6 outside its cidr",
     "from: [{ipBlock: {cidr: \"2001:db8::/32\", except: [\"2001:db9::/48\"]}}]",
     "7:55: except: found \"2001:db9::/48\", expected a block inside 2001:db8::/32 and narrower"},
    {"an except as wide as its cidr, with host bits",
     "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3/8]}}]",
     "7:50: except: found \"10.1.2.3/8\", expected a block inside 10.0.0.0/8 and narrower"},
    {"ipBlock together with a podSelector", "from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]",
     "7:22: ipBlock: found beside podSelector, expected alone"},
    {"ipBlock together with a namespaceSelector",
     "from: [{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]",
     "7:45: ipBlock: found beside namespaceSelector, expected alone"},
    {"an empty peer", "from: [{}]",
     "7:12: peer: found no field, expected podSelector, namespaceSelector or ipBlock"},
    {"a null peer", "from: [null]",
     "7:12: peer: found no field, expected podSelector, namespaceSelector or ipBlock"},
    {"a peer with nothing but a null selector", "from: [{podSelector: null}]",
     "7:12: peer: found no field, expected podSelector, namespaceSelector or ipBlock"},
    {"In without values", "from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]",
     "7:46: values: found none, expected at least one for the operator In"},
    {"NotIn with an empty list",
     "from: [{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}}]",
     "7:80: values: found none, expected at least one for the operator NotIn"},
    {"Exists with values",
     "from: [{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]",
     "7:81: values: found 1, expected none for the operator Exists"},
    {"DoesNotExist with values",
     "from: [{podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}}]",
     "7:87: values: found 1, expected none for the operator DoesNotExist"},
    {"an unknown operator",
     "from: [{podSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}}]",
     "7:65: operator: found \"Equals\", expected In, NotIn, Exists or DoesNotExist"},
    {"an expression without an operator", "from: [{podSelector: {matchExpressions: [{key: a}]}}]",
     "7:46: operator: found nothing, expected In, NotIn, Exists or DoesNotExist"},
    {"an expression without a key", "from: [{podSelector: {matchExpressions: [{operator: Exists}]}}]",
     "7:46: key: found nothing, expected a label key"},
    {"a label value that is a number", "from: [{podSelector: {matchLabels: {v: 1}}}]",
     "7:44: matchLabels.v: found the number 1, expected a string (in quotes)"},
    {"a label value that is a boolean", "from: [{podSelector: {matchLabels: {v: true}}}]",
     "7:44: matchLabels.v: found the boolean true, expected a string (in quotes)"},
    {"a label key with a space", "from: [{podSelector: {matchLabels: {\"a b\": c}}}]",
     "7:41: matchLabels: found \"a b\", expected a label key of letters, digits, '-', '_' and '.', at "
     "most 63 long, after an optional domain/"},
    {"a label value of 64 letters",
     "from: [{podSelector: {matchLabels: {a: "
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}}}]",
     "7:44: a: found \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\", expected a "
     "label value of letters, digits, '-', '_' and '.', at most 63 long"},
};

TEST(NetworkPolicyReader, refuses_each_of_these_rules_with_place_found_and_expected) {
  const std::string above =
      "apiVersion: networking.k8s.io/v1\n"
      "kind: NetworkPolicy\n"
      "metadata: {name: p, namespace: x}\n"
      "spec:\n"
      "  podSelector: {}\n"
      "  ingress:\n"
      "  - ";
  for (const auto& row : kRefusedRules) {
    SCOPED_TRACE(row.name);
    const auto read = read_manifest(above + row.rule + "\n", "f.yaml");
    ASSERT_FALSE(read.has_value());
    ASSERT_EQ(read.error().size(), 1u);
    EXPECT_EQ(read.error().front().to_string(), std::string("f.yaml:") + row.message);
    EXPECT_EQ(read.error().front().code, ErrorCode::invalid_input);
  }
}

TEST(NetworkPolicyReader, refuses_the_same_rules_below_egress) {
  for (const auto& row : kRefusedRules) {
    SCOPED_TRACE(row.name);
    std::string rule = row.rule;
    if (rule.rfind("from:", 0) == 0) rule = "to:  " + rule.substr(5);
    const std::string text =
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n"
        "  policyTypes: [Egress]\n  egress:\n  - " +
        rule + "\n";
    const auto read = read_manifest(text, "f.yaml");
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().front().to_string(), std::string("f.yaml:") + row.message);
  }
}

}  // namespace
}  // namespace postern::manifest
