// SPDX-License-Identifier: Apache-2.0
// A policy of the whole cluster that was written and read again is what it was, in every form.
#include <gtest/gtest.h>

#include "engine/manifest/cluster_slices.h"
#include "engine/manifest/reader.h"
#include "sim/objects/object_json.h"

namespace postern::sim {
namespace {

LabelSelector selector(const std::string& key, const std::string& value) { return {{{key, value}}, {}}; }

ClusterNetworkPolicy with_everything() {
  ClusterNetworkPolicy policy;
  policy.name = "guard";
  policy.tier = Tier::baseline;
  policy.priority = 1000;
  policy.subject = {selector("env", "prod"), selector("app", "web")};
  ClusterRule in;
  in.name = "from monitoring";
  in.action = Action::accept;
  in.peers = {ClusterPods{selector("team", "ops"), {}}, ClusterPods{{}, selector("app", "probe")}, UnknownPeer{}};
  in.protocols = {ProtocolPorts{Protocol::tcp, PortRange{80, 80}}, ProtocolPorts{Protocol::udp, PortRange{1, 65535}},
                  ProtocolPorts{Protocol::sctp, PortRange{7, 9}}, NamedPort{"web"}};
  ClusterRule out;
  out.action = Action::pass;
  out.peers = {ClusterNodes{selector("pool", "gpu")},
               ClusterNetworks{{Cidr(IpAddress::v4(0x0a000000), 8), *Cidr::parse("2001:db8::/32")}},
               UnknownPeer{{"regions", "zones"}}};
  ClusterRule names;
  names.action = Action::accept;
  names.peers = {ClusterDomainNames{{"example.com"}}};
  policy.ingress = {in};
  policy.egress = {out, names, out};
  return policy;
}

TEST(ClusterPolicyText, what_is_written_is_read_back) {
  ClusterNetworkPolicy bare;
  bare.name = "bare";
  bare.priority = 3;
  for (const auto& policy : {with_everything(), bare}) {
    SCOPED_TRACE(policy.name);
    const auto manifest = manifest::read_manifest(object_json(policy).dump(), "policy.json");
    ASSERT_TRUE(manifest.has_value()) << manifest.error().front().to_string();
    ASSERT_EQ(manifest->objects.size(), 1u);
    EXPECT_EQ(std::get<ClusterNetworkPolicy>(manifest->objects.front().value), policy);
  }
}

// What the form says: 100 entries, its own word for Accept, no tier or priority where it has none.
TEST(ClusterPolicyText, older_forms_are_written_as_they_were_read) {
  ClusterRule rule;
  rule.action = Action::accept;
  rule.peers = {ClusterPods{selector("team", "ops"), {}}, UnknownPeer{{"zones"}}};
  rule.protocols = {ProtocolPorts{Protocol::tcp, PortRange{80, 80}}, ProtocolPorts{Protocol::sctp, PortRange{7, 9}},
                    NamedPort{"web"}};
  ClusterRule out;
  out.action = Action::deny;
  out.peers = {ClusterNetworks{{Cidr(IpAddress::v4(0x0a000000), 8)}}};
  const struct {
    const char* name;
    Tier tier;
    std::uint32_t priority;
    const char* kind;
    const char* version;
  } rows[] = {
      {"AdminNetworkPolicy/p", Tier::admin, 3, "AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1"},
      {"BaselineAdminNetworkPolicy/default", Tier::baseline, kNoPriority, "BaselineAdminNetworkPolicy",
       "policy.networking.k8s.io/v1alpha1"},
      {"ClusterNetworkPolicy.networking.k8s.aws/p", Tier::baseline, 9, "ClusterNetworkPolicy",
       "networking.k8s.aws/v1alpha1"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    ClusterNetworkPolicy policy;
    policy.name = row.name;
    policy.tier = row.tier;
    policy.priority = row.priority;
    policy.subject = {{}, selector("app", "web")};
    policy.ingress.assign(30, rule);
    policy.egress = {out};
    const auto written = object_json(policy);
    EXPECT_EQ(written.at("kind"), row.kind);
    EXPECT_EQ(written.at("apiVersion"), row.version);
    const auto manifest = manifest::read_manifest(written.dump(), "policy.json");
    ASSERT_TRUE(manifest.has_value()) << manifest.error().front().to_string();
    EXPECT_EQ(std::get<ClusterNetworkPolicy>(manifest->objects.front().value), policy);
  }
}

TEST(ClusterPolicyText, listed_pods_are_written_as_one_slice_that_joins_to_the_same) {
  ClusterRule deny;
  deny.action = Action::deny;
  deny.peers = {ClusterNetworks{{Cidr(IpAddress::v4(0x0a000000), 8), Cidr(IpAddress::v4(0x0b000001), 32)}}};
  deny.protocols = {ProtocolPorts{Protocol::tcp, {}}, ProtocolPorts{Protocol::udp, PortRange{53, 60}}};
  ClusterRule accept;
  accept.action = Action::accept;
  accept.peers = {ClusterNetworks{{Cidr(IpAddress::v4(0x0a000001), 32)}}, ClusterDomainNames{{"a.b", "c.d"}}};
  ClusterRule unknown;
  unknown.action = Action::pass;
  unknown.peers = {UnknownPeer{{"pool"}}};
  ClusterNetworkPolicy policy;
  policy.name = "ClusterPolicyEndpoint/p";
  policy.priority = 4;
  policy.subject = {selector("env", "prod"), {}};
  policy.listed = {{PodEndpoint{{"x", "a"}, IpAddress::v4(0x0a000001), {}}, PodEndpoint{{"x", "b"}, {}, {}}}};
  policy.ingress = {deny, accept};
  policy.egress = {unknown};
  const auto manifest = manifest::read_manifest(object_json(policy).dump(), "policy.json");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().front().to_string();
  const auto& slice = std::get<ClusterPolicyEndpoint>(manifest->objects.front().value);
  const auto joined = manifest::join({{slice.name, slice}});
  ASSERT_EQ(joined.size(), 1u);
  EXPECT_EQ(joined.front().joined, policy);
  // A slice alone keeps its own name.
  ClusterPolicyEndpoint named = slice;
  named.name = "p-7xk2p";
  const auto again = manifest::read_manifest(object_json(named).dump(), "policy.json");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(std::get<ClusterPolicyEndpoint>(again->objects.front().value), named);
}

}  // namespace
}  // namespace postern::sim
