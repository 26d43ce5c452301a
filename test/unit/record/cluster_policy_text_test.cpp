// SPDX-License-Identifier: Apache-2.0
// A ClusterNetworkPolicy that was written and read again is what it was.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace postern::sim
