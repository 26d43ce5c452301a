// SPDX-License-Identifier: Apache-2.0
// ClusterNetworkPolicies: what is read, and what is refused. A refused row is the object's spec on line 4,
// and every message with its place.
#include <gtest/gtest.h>

#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"

namespace postern::manifest::cluster_network_policy_test {
namespace {

using Texts = std::vector<std::string>;

std::string object(const std::string& spec) {
  return "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\nspec: " +
         spec + "\n";
}

// A policy whose only rule is this one; it stands on line 5.
std::string with_rule(const std::string& direction, const std::string& rule) {
  return object("{tier: Admin, priority: 7, subject: {namespaces: {}}, " + direction + ": [\n" + rule + "]}");
}

tl::expected<ClusterNetworkPolicy, Texts> read(const std::string& text, const ReadOptions& options = {}) {
  auto manifest = read_manifest(text, "f.yaml", options);
  if (manifest && manifest->objects.size() == 1) {
    return std::get<ClusterNetworkPolicy>(manifest->objects.front().value);
  }
  Texts messages;
  if (!manifest) {
    for (const auto& error : manifest.error()) messages.push_back(error.to_string().substr(7));
  }
  return tl::unexpected(std::move(messages));
}

ClusterNetworkPolicy policy_of(const std::string& text, const ReadOptions& options = {}) {
  auto policy = read(text, options);
  if (policy) return *policy;
  ADD_FAILURE() << (policy.error().empty() ? "not one object" : policy.error().front());
  return {};
}

std::string show(const ClusterPods& pods) {
  return "pods " + pods.pods.to_string() + " of " + pods.namespaces.to_string();
}

struct Show {
  std::string operator()(const ClusterPods& peer) const { return show(peer); }
  std::string operator()(const ClusterNodes& peer) const { return "nodes " + peer.nodes.to_string(); }
  std::string operator()(const ClusterNetworks& peer) const {
    std::string text = "networks";
    for (const auto& block : peer.networks) text += " " + block.to_string();
    return text;
  }
  std::string operator()(const ClusterDomainNames& peer) const {
    std::string text = "names";
    for (const auto& name : peer.names) text += " " + name;
    return text;
  }
  std::string operator()(const UnknownPeer& peer) const {
    std::string text = "unknown";
    for (const auto& field : peer.fields) text += " " + field;
    return text;
  }
  std::string operator()(const NamedPort& port) const { return "named " + port.name; }
  std::string operator()(const ProtocolPorts& port) const {
    std::string text(to_string(port.protocol));
    if (!port.ports) return text;
    text += " " + std::to_string(port.ports->lo);
    return port.ports->hi == port.ports->lo ? text : text + "-" + std::to_string(port.ports->hi);
  }
};

template <typename Variant>
Texts show(const std::vector<Variant>& entries) {
  Texts texts;
  for (const auto& entry : entries) texts.push_back(std::visit(Show{}, entry));
  return texts;
}

TEST(ClusterNetworkPolicies, every_field_of_the_kind_is_read) {
  const auto policy = policy_of(
      "apiVersion: policy.networking.k8s.io/v1alpha2\n"
      "kind: ClusterNetworkPolicy\n"
      "metadata: {name: guard, annotations: {owner: security}}\n"
      "spec:\n"
      "  tier: Baseline\n"
      "  priority: 1000\n"
      "  subject: {pods: {namespaceSelector: {matchLabels: {env: prod}}, podSelector: {matchLabels: {app: web}}}}\n"
      "  ingress:\n"
      "  - name: from monitoring\n"
      "    action: Accept\n"
      "    from: [{namespaces: {matchLabels: {team: ops}}}, {pods: {namespaceSelector: {}, podSelector: {}}}]\n"
      "    protocols:\n"
      "    - tcp: {destinationPort: {number: 9090}}\n"
      "    - udp: {destinationPort: {range: {start: 100, end: 200}}}\n"
      "    - sctp: {destinationPort: {number: 1}}\n"
      "    - destinationNamedPort: metrics\n"
      "  - {action: Deny, from: [{namespaces: {}}]}\n"
      "  egress:\n"
      "  - action: Pass\n"
      "    to: [{nodes: {matchExpressions: [{key: control-plane, operator: Exists}]}},\n"
      "         {networks: [10.0.0.7/8, \"2001:db8::/32\"]}]\n"
      "  - {action: Accept, to: [{domainNames: [example.com, \"*.example.com\"]}]}\n"
      "status: {conditions: []}\n");
  EXPECT_EQ(policy.name, "guard");
  EXPECT_EQ(policy.tier, Tier::baseline);
  EXPECT_EQ(policy.priority, 1000u);
  EXPECT_EQ(show(policy.subject), "pods app=web of env=prod");
  ASSERT_EQ(policy.ingress.size(), 2u);
  EXPECT_EQ(policy.ingress[0].name, "from monitoring");
  EXPECT_EQ(policy.ingress[0].action, Action::accept);
  EXPECT_EQ(show(policy.ingress[0].peers),
            (Texts{"pods (everything) of team=ops", "pods (everything) of (everything)"}));
  EXPECT_EQ(show(policy.ingress[0].protocols), (Texts{"TCP 9090", "UDP 100-200", "SCTP 1", "named metrics"}));
  EXPECT_EQ(policy.ingress[1].action, Action::deny);
  EXPECT_TRUE(policy.ingress[1].protocols.empty());
  ASSERT_EQ(policy.egress.size(), 2u);
  EXPECT_EQ(policy.egress[0].action, Action::pass);
  EXPECT_EQ(show(policy.egress[0].peers), (Texts{"nodes control-plane", "networks 10.0.0.0/8 2001:db8::/32"}));
  EXPECT_EQ(show(policy.egress[1].peers), Texts{"names example.com *.example.com"});
}

struct ReadPeer {
  const char* name;
  const char* direction;
  const char* peer;
  const char* shown;
};

const ReadPeer kPeers[] = {
    {"a null selector of namespaces", "ingress", "{namespaces: null}", "pods (everything) of (everything)"},
    {"selectors of pods that are left out", "ingress", "{pods: {}}", "pods (everything) of (everything)"},
    {"a null selector of pods", "egress",
     "{pods: {namespaceSelector: {matchLabels: {a: b}}, podSelector: null}}", "pods (everything) of a=b"},
    {"a null selector of nodes", "egress", "{nodes: null}", "nodes (everything)"},
    {"a null beside the peer that counts", "egress", "{namespaces: null, networks: [0.0.0.0/0]}", "networks 0.0.0.0/0"},
    {"a peer of a newer API", "egress", "{serviceAccounts: {}}", "unknown serviceAccounts"},
    {"two fields of a newer API", "egress", "{zones: {}, regions: {}}", "unknown regions zones"},
    {"a peer whose fields an older API has cut", "ingress", "{}", "unknown"},
    {"networks, which ingress does not have", "ingress", "{networks: [10.0.0.0/8]}", "unknown networks"},
    {"nodes, which ingress does not have", "ingress", "{nodes: {}}", "unknown nodes"},
    {"a known field beside an unknown one", "egress", "{namespaces: {}, zones: {}}",
     "pods (everything) of (everything)"},
};

TEST(ClusterNetworkPolicies, peers_are_read_as_they_count) {
  for (const auto& row : kPeers) {
    SCOPED_TRACE(row.name);
    const bool ingress = std::string(row.direction) == "ingress";
    const auto policy = policy_of(with_rule(row.direction, std::string("{action: Deny, ") +
                                                               (ingress ? "from: [" : "to: [") + row.peer + "]}"));
    const auto& rules = ingress ? policy.ingress : policy.egress;
    ASSERT_EQ(rules.size(), 1u);
    EXPECT_EQ(show(rules.front().peers), Texts{row.shown});
  }
}

TEST(ClusterNetworkPolicies, without_rules_no_direction_is_touched) {
  const auto policy = policy_of(object("{tier: Admin, priority: 0, subject: {namespaces: null}, ingress: [], egress: null}"));
  EXPECT_TRUE(policy.ingress.empty() && policy.egress.empty());
  EXPECT_EQ(show(policy.subject), "pods (everything) of (everything)");
}

struct Refused {
  const char* name;
  std::string text;
  Texts messages;  // without the file name
};

std::string rules(std::size_t count) {
  std::string text = "{tier: Admin, priority: 7, subject: {namespaces: {}}, ingress: [";
  for (std::size_t i = 0; i < count; ++i) text += "{action: Deny, from: [{namespaces: {}}]},";
  return object(text + "]}");
}

std::string many(const std::string& one, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += one + ",";
  return text + "]";
}

std::string ingress(const std::string& rest) { return with_rule("ingress", "{action: Accept, " + rest + "}"); }
std::string egress(const std::string& rest) { return with_rule("egress", "{action: Accept, " + rest + "}"); }
std::string protocol(const std::string& one) { return ingress("from: [{namespaces: {}}], protocols: [" + one + "]"); }

const std::vector<Refused> kRefused{
    {"no spec", object(""), {"1:1: spec: found nothing, expected tier, priority and subject in it"}},
    {"nothing in the spec",
     object("{}"),
     {"4:7: tier: found nothing, expected Admin or Baseline",
      "4:7: priority: found nothing, expected a whole number from 0 to 1000",
      "4:7: subject: found nothing, expected namespaces or pods in it"}},
    {"an unknown tier",
     object("{tier: Middle, priority: 0, subject: {namespaces: {}}}"),
     {"4:14: tier: found \"Middle\", expected Admin or Baseline"}},
    {"a priority above 1000",
     object("{tier: Admin, priority: 1001, subject: {namespaces: {}}}"),
     {"4:31: priority: found the number 1001, expected a whole number from 0 to 1000"}},
    {"a priority below 0",
     object("{tier: Admin, priority: -1, subject: {namespaces: {}}}"),
     {"4:31: priority: found the number -1, expected a whole number from 0 to 1000"}},
    {"a priority that is no whole number",
     object("{tier: Admin, priority: 1.5, subject: {namespaces: {}}}"),
     {"4:31: priority: found the number 1.5, expected a whole number from 0 to 1000"}},
    {"a subject without a field",
     object("{tier: Admin, priority: 0, subject: {}}"),
     {"4:43: subject: found no field, expected namespaces or pods"}},
    {"a subject of a newer API",
     object("{tier: Admin, priority: 0, subject: {zones: {}}}"),
     {"4:43: subject: found no field, expected namespaces or pods"}},
    {"a subject with two fields",
     object("{tier: Admin, priority: 0, subject: {namespaces: {}, pods: {}}}"),
     {"4:43: subject: found namespaces and pods, expected one of them"}},
    {"26 rules", rules(26), {"4:70: ingress: found 26, expected at most 25"}},
    {"26 peers",
     ingress("from: " + many("{namespaces: {}}", 26)),
     {"5:24: from: found 26, expected at most 25"}},
    {"26 protocols",
     ingress("from: [{namespaces: {}}], protocols: " + many("{destinationNamedPort: a}", 26)),
     {"5:55: protocols: found 26, expected at most 25"}},
    {"26 networks",
     egress("to: [{networks: " + many("10.0.0.0/8", 26) + "}]"),
     {"5:34: networks: found 26, expected at most 25"}},
    {"26 names", egress("to: [{domainNames: " + many("a.b", 26) + "}]"),
     {"5:37: domainNames: found 26, expected at most 25"}},
    {"no peers", ingress("from: []"), {"5:24: from: found none, expected 1 to 25 peers"}},
    {"a rule that leaves its peers out", egress("protocols: []"), {"5:1: to: found none, expected 1 to 25 peers"}},
    {"no networks", egress("to: [{networks: []}]"), {"5:34: networks: found none, expected 1 to 25 blocks"}},
    {"no names", egress("to: [{domainNames: []}]"), {"5:37: domainNames: found none, expected 1 to 25 names"}},
    {"an empty name",
     egress("to: [{domainNames: [\"\"]}]"),
     {"5:38: domainNames: found \"\", expected a name like example.com or *.example.com"}},
    {"an address that is no block",
     egress("to: [{networks: [10.0.0.1]}]"),
     {"5:35: networks: found \"10.0.0.1\", expected a block with its length, 10.0.0.1/32"}},
    {"a peer of two kinds",
     egress("to: [{namespaces: {}, nodes: {}, networks: [10.0.0.0/8]}]"),
     {"5:23: peer: found namespaces, nodes and networks, expected one of them"}},
    {"an unknown action",
     with_rule("ingress", "{action: Allow, from: [{namespaces: {}}]}"),
     {"5:10: action: found \"Allow\", expected Accept, Deny or Pass"}},
    {"no action",
     with_rule("ingress", "{from: [{namespaces: {}}]}"),
     {"5:1: action: found nothing, expected Accept, Deny or Pass"}},
    {"a name of 101 letters",
     ingress("name: " + std::string(101, 'n') + ", from: [{namespaces: {}}]"),
     {"5:24: name: found 101 characters, expected at most 100"}},
    {"a name that moves the cursor",
     ingress("name: \"a\\eb\", from: [{namespaces: {}}]"),
     {"5:24: name: found \"a\\x1bb\", expected one without control characters"}},
    {"a protocol without a field",
     protocol("{}"),
     {"5:56: protocols: found no field, expected tcp, udp, sctp or destinationNamedPort"}},
    {"a protocol of two kinds",
     protocol("{tcp: {destinationPort: {number: 1}}, destinationNamedPort: a}"),
     {"5:56: protocols: found tcp and destinationNamedPort, expected one of them"}},
    {"tcp that says nothing", protocol("{tcp: {}}"), {"5:62: tcp: found no field, expected destinationPort"}},
    {"a port that says nothing",
     protocol("{udp: {destinationPort: {}}}"),
     {"5:80: destinationPort: found no field, expected number or range"}},
    {"a number and a range",
     protocol("{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}"),
     {"5:80: destinationPort: found number and range, expected one of them"}},
    {"a port of zero",
     protocol("{tcp: {destinationPort: {number: 0}}}"),
     {"5:89: number: found the number 0, expected a port number from 1 to 65535"}},
    {"a range that does not grow",
     protocol("{tcp: {destinationPort: {range: {start: 80, end: 80}}}}"),
     {"5:88: range: found 80 to 80, expected an end above its start"}},
    {"a range that falls",
     protocol("{tcp: {destinationPort: {range: {start: 80, end: 79}}}}"),
     {"5:88: range: found 80 to 79, expected an end above its start"}},
    {"a range without an end",
     protocol("{tcp: {destinationPort: {range: {start: 80}}}}"),
     {"5:88: end: found nothing, expected a port number from 1 to 65535"}},
    {"a port name of 16 letters",
     protocol("{destinationNamedPort: sixteen-letters1}"),
     {"5:79: destinationNamedPort: found \"sixteen-letters1\", expected a port name of at most 15 characters"}},
    {"a port's name for networks",
     egress("to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: a}]"),
     {"5:1: rule: found destinationNamedPort together with networks, expected it with pods and namespaces only"}},
    {"a port's name for nodes, among pods",
     egress("to: [{namespaces: {}}, {nodes: {}}], protocols: [{destinationNamedPort: a}]"),
     {"5:1: rule: found destinationNamedPort together with nodes, expected it with pods and namespaces only"}},
    {"a port's name for domain names",
     egress("to: [{domainNames: [a.b]}], protocols: [{destinationNamedPort: a}]"),
     {"5:1: rule: found destinationNamedPort together with domainNames, expected it with pods and namespaces "
      "only"}},
    {"domain names that are denied",
     with_rule("egress", "{action: Deny, to: [{domainNames: [a.b]}]}"),
     {"5:1: rule: found domainNames with another action, expected Accept"}},
    {"another version",
     "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: ClusterNetworkPolicy, metadata: {name: c}}",
     {"1:14: apiVersion: found \"policy.networking.k8s.io/v1alpha1\", expected "
      "policy.networking.k8s.io/v1alpha2 for a ClusterNetworkPolicy"}},
};

TEST(ClusterNetworkPolicies, what_the_api_refuses_is_refused) {
  for (const auto& row : kRefused) {
    SCOPED_TRACE(row.name);
    const auto policy = read(row.text);
    ASSERT_FALSE(policy.has_value());
    EXPECT_EQ(policy.error(), row.messages);
  }
}

TEST(ClusterNetworkPolicies, a_port_name_that_no_port_can_have_is_read_from_a_server_and_an_empty_one_never) {
  ReadOptions live;
  live.live = true;
  EXPECT_EQ(show(policy_of(protocol("{destinationNamedPort: Sixteen-Letters-}"), live).ingress.front().protocols),
            Texts{"named Sixteen-Letters-"});
  EXPECT_FALSE(read(protocol("{destinationNamedPort: \"\"}"), live).has_value());
}

TEST(ClusterNetworkPolicies, one_is_held_by_its_name_and_belongs_to_no_namespace) {
  const auto objects = read_manifest(object("{tier: Admin, priority: 1, subject: {namespaces: {}}}") + "---\n" +
                                         "{apiVersion: v1, kind: Namespace, metadata: {name: default}}\n",
                                     "f.yaml");
  ASSERT_TRUE(objects.has_value());
  ClusterState state;
  auto snapshot = state.apply({}, objects->objects);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->cluster_network_policies.count("c"), 1u);
  snapshot = state.apply(std::vector<ObjectRef>{{"Namespace", "", "default"}}, {});
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->cluster_network_policies.count("c"), 1u);
  const auto unknown = state.apply(std::vector<ObjectRef>{{"ClusterNetworkPolicy", "", "d"}}, {});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().message,
            "delete: found no ClusterNetworkPolicy d, expected one that exists");
  snapshot = state.apply(std::vector<ObjectRef>{{"ClusterNetworkPolicy", "", "c"}}, {});
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_TRUE(snapshot->cluster_network_policies.empty());
}

}  // namespace
}  // namespace postern::manifest::cluster_network_policy_test
