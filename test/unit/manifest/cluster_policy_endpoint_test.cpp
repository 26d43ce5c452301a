// SPDX-License-Identifier: Apache-2.0
// ClusterPolicyEndpoints: what is read and refused, and how slices become one policy. A refused row is the
// object's spec on line 4, and every message with its place.
#include <gtest/gtest.h>

#include "engine/manifest/cluster_slices.h"
#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"

namespace postern::manifest::cluster_policy_endpoint_test {
namespace {

using Texts = std::vector<std::string>;

std::string object(const std::string& spec, const std::string& name = "p-1") {
  return "apiVersion: networking.k8s.aws/v1alpha1\nkind: ClusterPolicyEndpoint\nmetadata: {name: " + name +
         "}\nspec: " + spec + "\n";
}

constexpr const char* kHead = "policyRef: {name: p}, tier: Admin, priority: 7, subject: {namespaces: {}}";

std::string with(const std::string& rest, const std::string& name = "p-1") {
  return object(std::string("{") + kHead + ", " + rest + "}", name);
}

ClusterPolicyEndpoint slice_of(const std::string& text) {
  auto manifest = read_manifest(text, "f.yaml");
  if (manifest && manifest->objects.size() == 1) {
    return std::get<ClusterPolicyEndpoint>(manifest->objects.front().value);
  }
  ADD_FAILURE() << (manifest ? "not one object" : manifest.error().front().to_string());
  return {};
}

struct Show {
  std::string operator()(const ClusterNetworks& peer) const {
    std::string text;
    for (const auto& block : peer.networks) text += " " + block.to_string();
    return text;
  }
  std::string operator()(const ClusterDomainNames& peer) const {
    std::string text;
    for (const auto& name : peer.names) text += " name " + name;
    return text;
  }
  std::string operator()(const UnknownPeer& peer) const {
    std::string text = " unknown";
    for (const auto& field : peer.fields) text += " " + field;
    return text;
  }
  std::string operator()(const ClusterPods&) const { return " pods"; }
  std::string operator()(const ClusterNodes&) const { return " nodes"; }
};

std::string show(const ProtocolPorts& port) {
  std::string text = std::string(" ") + std::string(to_string(port.protocol));
  if (port.ports) text += " " + std::to_string(port.ports->lo) + "-" + std::to_string(port.ports->hi);
  return text;
}

const char* show(Action action) {
  return action == Action::deny ? "Deny" : action == Action::accept ? "Accept" : "Pass";
}

Texts show(const std::vector<ClusterRule>& rules) {
  Texts out;
  for (const auto& rule : rules) {
    std::string text = show(rule.action);
    for (const auto& peer : rule.peers) text += std::visit(Show{}, peer);
    for (const auto& port : rule.protocols) text += show(std::get<ProtocolPorts>(port));
    out.push_back(text);
  }
  return out;
}

TEST(ClusterPolicyEndpoints, every_field_is_read) {
  const auto slice = slice_of(object(
      "{policyRef: {name: p}, tier: Baseline, priority: 1000, subject: {pods: {namespaceSelector: {matchLabels: {a: b}}, "
      "podSelector: {matchLabels: {c: d}}}}, podSelectorEndpoints: [{hostIP: 172.18.0.2, podIP: 10.0.0.1, name: web, "
      "namespace: shop}, {hostIP: \"\", podIP: \"\", name: db, namespace: other}], ingress: [{cidr: 10.0.0.2, action: "
      "Pass}], egress: [{cidr: 10.0.0.0/8, action: Deny, ports: [{}, {protocol: UDP, port: 53}, {protocol: SCTP, port: 7, "
      "endPort: 9}]}, {domainName: a.b, action: Accept}]}"));
  EXPECT_EQ(slice.name, "p-1");
  EXPECT_EQ(slice.policy, "p");
  EXPECT_EQ(slice.tier, Tier::baseline);
  EXPECT_EQ(slice.priority, 1000u);
  ASSERT_TRUE(slice.subject.has_value());
  EXPECT_EQ(slice.subject->namespaces.to_string(), "a=b");
  EXPECT_EQ(slice.subject->pods.to_string(), "c=d");
  ASSERT_EQ(slice.pods.size(), 2u);
  EXPECT_EQ(slice.pods[0].pod.to_string(), "shop/web");
  EXPECT_EQ(slice.pods[0].address->to_string(), "10.0.0.1");
  EXPECT_EQ(slice.pods[0].host_address->to_string(), "172.18.0.2");
  EXPECT_EQ(slice.pods[1].pod.to_string(), "other/db");
  EXPECT_FALSE(slice.pods[1].address.has_value());
  ASSERT_EQ(slice.ingress.size(), 1u);
  EXPECT_EQ(slice.ingress[0].action, Action::pass);
  EXPECT_EQ(std::visit(Show{}, slice.ingress[0].peer), " 10.0.0.2/32");
  EXPECT_TRUE(slice.ingress[0].protocols.empty()) << "no ports: every protocol";
  ASSERT_EQ(slice.egress.size(), 2u);
  ASSERT_EQ(slice.egress[0].protocols.size(), 3u);
  EXPECT_EQ(show(slice.egress[0].protocols[0]), " TCP") << "no protocol: TCP; no port: every one";
  EXPECT_EQ(show(slice.egress[0].protocols[1]), " UDP 53-53");
  EXPECT_EQ(show(slice.egress[0].protocols[2]), " SCTP 7-9");
  EXPECT_EQ(std::visit(Show{}, slice.egress[1].peer), " name a.b");
}

TEST(ClusterPolicyEndpoints, a_subject_may_be_absent_as_in_the_first_version_of_the_kind) {
  EXPECT_FALSE(slice_of(object("{policyRef: {name: p}, tier: Admin, priority: 0}")).subject.has_value());
}

const struct {
  const char* name;
  std::string text;
  Texts messages;  // without the file name
} kRefused[] = {
    {"no spec", object(""), {"1:1: spec: found nothing, expected policyRef, tier and priority in it"}},
    {"an empty spec", object("{}"),
     {"4:7: policyRef: found nothing, expected a name in it", "4:7: tier: found nothing, expected Admin or Baseline",
      "4:7: priority: found nothing, expected a whole number from 0 to 1000"}},
    {"a policyRef without a name", object("{policyRef: {}, tier: Admin, priority: 1}"),
     {"4:19: name: found nothing, expected a string"}},
    {"an unknown tier", object("{policyRef: {name: p}, tier: Middle, priority: 1}"),
     {"4:36: tier: found \"Middle\", expected Admin or Baseline"}},
    {"a priority above 1000", object("{policyRef: {name: p}, tier: Admin, priority: 1001}"),
     {"4:53: priority: found the number 1001, expected a whole number from 0 to 1000"}},
    {"a subject of two kinds", object("{policyRef: {name: p}, tier: Admin, priority: 1, subject: {namespaces: {}, pods: {}}}"),
     {"4:65: subject: found namespaces and pods, expected one of them"}},
    {"a bad block", with("ingress: [\n{cidr: 10.0.0.0/33, action: Deny}]"),
     {"5:8: cidr: found \"10.0.0.0/33\", expected a length from 0 to 32"}},
    {"no action", with("ingress: [\n{cidr: 10.0.0.0/8}]"), {"5:1: action: found nothing, expected Accept, Deny or Pass"}},
    {"an unknown action", with("egress: [\n{cidr: 10.0.0.0/8, action: Allow}]"),
     {"5:28: action: found \"Allow\", expected Accept, Deny or Pass"}},
    {"a port's name", with("ingress: [\n{cidr: 10.0.0.0/8, action: Deny, ports: [{port: web}]}]"),
     {"5:49: port: found \"web\", expected a port number from 1 to 65535"}},
    {"an unknown protocol", with("ingress: [\n{cidr: 10.0.0.0/8, action: Deny, ports: [{protocol: ICMP}]}]"),
     {"5:53: protocol: found \"ICMP\", expected TCP, UDP or SCTP"}},
    {"a domain that is denied", with("egress: [\n{domainName: a.b, action: Deny}]"),
     {"5:1: entry: found a domainName with another action, expected Accept"}},
    {"a pod without a name", with("podSelectorEndpoints: [\n{namespace: x, podIP: 10.0.0.1, hostIP: \"\"}]"),
     {"5:1: name: found nothing, expected a string"}},
    {"a pod whose address is none", with("podSelectorEndpoints: [\n{name: a, namespace: x, podIP: ten, hostIP: \"\"}]"),
     {"5:32: podIP: found \"ten\", expected an address like 10.0.0.1 or 2001:db8::1"}},
};

TEST(ClusterPolicyEndpoints, what_no_schema_would_let_in_is_refused) {
  for (const auto& row : kRefused) {
    SCOPED_TRACE(row.name);
    const auto manifest = read_manifest(row.text, "f.yaml");
    if (manifest.has_value()) {
      ADD_FAILURE() << "was read";
      continue;
    }
    Texts messages;
    for (const auto& error : manifest.error()) messages.push_back(error.to_string().substr(7));
    EXPECT_EQ(messages, row.messages);
  }
}

ClusterPolicyEndpoints slices_of(const Texts& texts) {
  ClusterPolicyEndpoints slices;
  for (const auto& text : texts) {
    const auto slice = slice_of(text);
    slices[slice.name] = slice;
  }
  return slices;
}

TEST(ClusterPolicyEndpoints, slices_of_one_policy_are_the_union_of_their_pods_and_entries) {
  const auto policies = join(slices_of({
      with("podSelectorEndpoints: [{name: b, namespace: x, podIP: 10.0.0.2, hostIP: \"\"}], ingress: [{cidr: 10.1.0.1, "
           "action: Accept, ports: [{port: 80}]}]",
           "p-1"),
      with("podSelectorEndpoints: [{name: a, namespace: x, podIP: 10.0.0.1, hostIP: \"\"}], ingress: [{cidr: 10.1.0.2, "
           "action: Accept, ports: [{port: 80}]}], egress: [{cidr: 10.1.0.0/16, action: Deny}]",
           "p-2"),
      object("{policyRef: {name: other}, tier: Baseline, priority: 1}", "q-1"),
  }));
  ASSERT_EQ(policies.size(), 2u);
  EXPECT_EQ(policies[0].policy, "other");
  const auto& policy = policies[1].joined;
  EXPECT_EQ(policies[1].disagreement, "");
  EXPECT_EQ(policy.name, "ClusterPolicyEndpoint/p");
  EXPECT_EQ(policy.tier, Tier::admin);
  EXPECT_EQ(policy.priority, 7u);
  ASSERT_TRUE(policy.listed.has_value());
  ASSERT_EQ(policy.listed->size(), 2u);
  EXPECT_EQ(policy.listed->front().pod.to_string(), "x/a");
  EXPECT_EQ(show(policy.ingress), Texts{"Accept 10.1.0.1/32 10.1.0.2/32 TCP 80-80"});
  EXPECT_EQ(show(policy.egress), Texts{"Deny 10.1.0.0/16"});
}

// Where an entry stands says nothing, in a slice and among slices.
TEST(ClusterPolicyEndpoints, deny_goes_before_accept_before_pass_and_then_by_ports) {
  const Texts entries{
      "{cidr: 10.0.0.0/8, action: Pass}",
      "{cidr: 10.0.0.1, action: Accept, ports: [{port: 443}, {port: 80}]}",
      "{cidr: 10.0.0.2, action: Accept}",
      "{cidr: 10.0.0.3, action: Accept, ports: [{port: 80}, {port: 443}]}",
      "{cidr: 10.0.0.4, action: Deny, ports: [{protocol: UDP, port: 53}]}",
      "{domainName: a.b, action: Accept}",
      "{action: Accept, pool: blue}",
      "{action: Pass, pool: green, ports: [{port: 22}]}",
  };
  const Texts expected{
      "Deny 10.0.0.4/32 UDP 53-53",
      "Pass unknown pool TCP 22-22",
      "Accept 10.0.0.2/32 name a.b",
      "Accept 10.0.0.1/32 10.0.0.3/32 TCP 80-80 TCP 443-443",
      "Accept unknown pool",
      "Pass 10.0.0.0/8",
  };
  std::string forward;
  std::string backward;
  for (const auto& entry : entries) {
    forward += entry + ", ";
    backward = entry + ", " + backward;
  }
  EXPECT_EQ(show(join(slices_of({with("egress: [" + forward + "]")})).front().joined.egress), expected);
  EXPECT_EQ(show(join(slices_of({with("egress: [" + backward + "]")})).front().joined.egress), expected);
  Texts one_each;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    one_each.push_back(with("egress: [" + entries[i] + "]", "p-" + std::to_string(i)));
  }
  EXPECT_EQ(show(join(slices_of(one_each)).front().joined.egress), expected);
}

TEST(ClusterPolicyEndpoints, slices_that_disagree_are_named_with_both_values) {
  const struct {
    const char* other;
    const char* message;
  } rows[] = {
      {"{policyRef: {name: p}, tier: Baseline, priority: 7, subject: {namespaces: {}}}",
       "ClusterPolicyEndpoints p-1 and p-2 of p disagree on tier: found Admin and Baseline, expected one of them in both"},
      {"{policyRef: {name: p}, tier: Admin, priority: 8, subject: {namespaces: {}}}",
       "ClusterPolicyEndpoints p-1 and p-2 of p disagree on priority: found 7 and 8, expected one of them in both"},
      {"{policyRef: {name: p}, tier: Admin, priority: 7, subject: {namespaces: {matchLabels: {a: b}}}}",
       "ClusterPolicyEndpoints p-1 and p-2 of p disagree on subject: found pods (everything) of namespaces (everything) "
       "and pods (everything) of namespaces a=b, expected one of them in both"},
      {"{policyRef: {name: p}, tier: Admin, priority: 7}",
       "ClusterPolicyEndpoints p-1 and p-2 of p disagree on subject: found pods (everything) of namespaces (everything) "
       "and nothing, expected one of them in both"},
  };
  for (const auto& row : rows) {
    const auto first = read_manifest(with("ingress: []", "p-1"), "f.yaml");
    const auto both = read_manifest(with("ingress: []", "p-1") + "---\n" + object(row.other, "p-2"), "f.yaml");
    ASSERT_TRUE(first.has_value() && both.has_value());
    ClusterState state;
    ASSERT_TRUE(state.apply({}, first->objects).has_value());
    const auto refused = state.apply({}, both->objects);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message, row.message);
    // Nothing of the batch has happened.
    EXPECT_FALSE(state.apply(std::vector<ObjectRef>{{"ClusterPolicyEndpoint", "", "p-2"}}, {}).has_value());
  }
}

TEST(ClusterPolicyEndpoints, a_policy_goes_with_its_last_slice) {
  const auto read = read_manifest(with("ingress: []", "p-1") + "---\n" + with("ingress: []", "p-2"), "f.yaml");
  ASSERT_TRUE(read.has_value());
  ClusterState state;
  auto snapshot = state.apply({}, read->objects);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->cluster_network_policies.size(), 1u);
  snapshot = state.apply(std::vector<ObjectRef>{{"ClusterPolicyEndpoint", "", "p-1"}}, {});
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_TRUE(snapshot->cluster_network_policies.contains("ClusterPolicyEndpoint/p"));
  const auto unknown = state.apply(std::vector<ObjectRef>{{"ClusterPolicyEndpoint", "", "p-3"}}, {});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().message,
            "delete: found no ClusterPolicyEndpoint p-3, expected one that exists; did you mean p-2?");
  snapshot = state.apply(std::vector<ObjectRef>{{"ClusterPolicyEndpoint", "", "p-2"}}, {});
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_TRUE(snapshot->cluster_network_policies.empty());
}

}  // namespace
}  // namespace postern::manifest::cluster_policy_endpoint_test
