// SPDX-License-Identifier: Apache-2.0
// What NetworkPolicies are written as, slice by slice, as lines of text:
//   "x/p Ingress: a=10.0.0.1; in 10.0.0.2 TCP 80" with the hash of a part as "#egress"
#include "engine/policy/to_policy_endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "engine/policy/policy_endpoints.h"

namespace postern {
namespace {

using testing::ElementsAre;
using Lines = std::vector<std::string>;

ClusterSnapshot cluster_of(const std::string& yaml) {
  const auto manifest = manifest::read_manifest(yaml, "test.yaml");
  if (!manifest) {
    ADD_FAILURE() << manifest.error().front().to_string();
    return {};
  }
  manifest::ClusterState state;
  auto cluster = state.apply({}, manifest->objects);
  if (!cluster) {
    ADD_FAILURE() << cluster.error().to_string();
    return {};
  }
  return *cluster;
}

std::string pod(const std::string& name, const std::string& addresses, const std::string& ports = "",
                const std::string& spec = "nodeName: n1") {
  std::string ips;
  std::string rest = addresses;
  while (!rest.empty()) {
    const auto end = rest.find(' ');
    ips += (ips.empty() ? "" : ", ") + ("{ip: \"" + rest.substr(0, end) + "\"}");
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
  }
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: x, labels: {app: " + name +
         ", tier: all}}\nspec: {" + spec + ", containers: [{name: c, ports: [" + ports +
         "]}]}\nstatus: {podIPs: [" + ips + "]}\n";
}

std::string policy(const std::string& name, const std::string& spec) {
  return "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name +
         ", namespace: x}\nspec: " + spec + "\n";
}

std::string service(const std::string& name, const std::string& app, const std::string& address,
                    const std::string& ports) {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: x}\nspec: {selector: {app: " + app + "}, clusterIP: " + address + ", ports: [" + ports +
         "]}\n";
}

// n1 172.18.0.9; a (dual), b, c by themselves; web is 80 on a, 81 on b; dns UDP 53 on b.
const std::string kPods =
    "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
    "status: {addresses: [{type: InternalIP, address: 172.18.0.9}]}\n" +
    pod("a", "10.0.0.1 fd00::1", "{name: web, containerPort: 80}") +
    pod("b", "10.0.0.2", "{name: web, containerPort: 81}, {name: dns, containerPort: 53, protocol: UDP}") +
    pod("c", "10.0.0.3");

std::string show(const EndpointInfo& info) {
  const Cidr& cidr = info.block->cidr;
  std::string text = cidr == Cidr::host(cidr.network()) ? cidr.network().to_string() : cidr.to_string();
  for (const auto& except : info.block->excepts) text += " but " + except.to_string();
  for (const auto& port : info.ports) {
    text += " " + std::string(to_string(port.protocol));
    if (!port.port) continue;
    const auto& range = std::get<PortRange>(*port.port);
    text += std::to_string(range.lo) + (range.lo == range.hi ? "" : "-" + std::to_string(range.hi));
  }
  return text;
}

std::string show(const PolicyEndpoint& slice) {
  std::string text = slice.policy.to_string();
  // The hash of a part is no concern of these tests.
  const auto hash = text.rfind('-');
  if (text.find('#') != std::string::npos) text = text.substr(0, hash);
  text += slice.isolates_ingress ? " Ingress" : "";
  text += slice.isolates_egress ? " Egress" : "";
  text += ":";
  for (const auto& pod : slice.pods) text += " " + pod.pod.name + "=" + pod.address->to_string();
  for (const auto& info : slice.ingress) text += "; in " + show(info);
  for (const auto& info : slice.egress) text += "; out " + show(info);
  return text;
}

// Sorted by policy, part and pods, whatever the slices are called.
Lines lines_of(const std::string& yaml, std::size_t chunk_size = 200) {
  const auto slices = to_policy_endpoints(cluster_of(yaml), {chunk_size, ""});
  EXPECT_TRUE(slices);
  Lines lines;
  for (const auto& slice : *slices) lines.push_back(show(slice));
  std::sort(lines.begin(), lines.end());
  return lines;
}

struct Row {
  const char* name;
  std::string objects;
  Lines lines;
};

const std::string kFromAll = "from: [{podSelector: {matchLabels: {tier: all}}}]";

std::vector<Row> rows() {
  const std::string to_b = "to: [{podSelector: {matchLabels: {app: b}}}]";
  const std::string a_out = "podSelector: {matchLabels: {app: a}}, policyTypes: [Egress]";
  const std::string web = service("web", "b", "10.96.0.1", "{port: 80, targetPort: 81}, {name: o, port: 90}");
  return {
      {"selectors, blocks and port ranges",
       policy("p", "{podSelector: {matchLabels: {app: a}}, ingress: [{" + kFromAll +
                       ", ports: [{port: 80, endPort: 89}, {protocol: UDP}]}, {from: [{ipBlock: {cidr: "
                       "192.0.2.0/24, except: [192.0.2.9/32]}}]}]}"),
       {"x/p Ingress: a=10.0.0.1 a=fd00::1; in 10.0.0.1 TCP80-89 UDP; in 10.0.0.2 TCP80-89 UDP; in 10.0.0.3 "
        "TCP80-89 UDP; in 192.0.2.0/24 but 192.0.2.9/32; in fd00::1 TCP80-89 UDP"}},
      {"no rule, and a rule without peers",
       policy("p", "{podSelector: {matchLabels: {app: c}}, policyTypes: [Ingress, Egress], egress: [{}]}"),
       {"x/p Ingress Egress: c=10.0.0.3; out 0.0.0.0/0; out ::/0"}},
      {"a policy that selects nobody is there all the same",
       policy("p", "{podSelector: {matchLabels: {app: none}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"),
       {"x/p Ingress:; in 192.0.2.0/24"}},
      {"R3: a hostNetwork pod is neither subject nor peer",
       pod("h", "", "", "nodeName: n1, hostNetwork: true") +
           policy("p", "{podSelector: {matchLabels: {app: h}}, ingress: [{from: [{podSelector: {matchLabels: "
                       "{app: h}}}]}]}"),
       {"x/p Ingress:"}},
      {"R9: a name that is one number on every subject is that number",
       policy("p", "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], "
                   "ports: [{port: web}, {port: 90}]}]}"),
       {"x/p Ingress: a=10.0.0.1 a=fd00::1; in 192.0.2.0/24 TCP80 TCP90"}},
      {"R9: where it differs, each number goes to its subjects",
       policy("p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: web}, "
                   "{port: 90}]}]}"),
       {"x/p Ingress: a=10.0.0.1 a=fd00::1 b=10.0.0.2 c=10.0.0.3; in 192.0.2.0/24 TCP90",
        "x/p#ingress Ingress: a=10.0.0.1 a=fd00::1; in 192.0.2.0/24 TCP80",
        "x/p#ingress Ingress: b=10.0.0.2; in 192.0.2.0/24 TCP81"}},
      {"R10: a name at egress is each destination's own, also without peers",
       policy("p", "{" + a_out + ", egress: [{ports: [{port: web}, {port: dns, protocol: UDP}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 10.0.0.1 TCP80; out 10.0.0.2 TCP81; out 10.0.0.2 UDP53; out fd00::1 "
        "TCP80"}},
      {"R7: a ClusterIP is named with the ports whose backends are allowed",
       web + policy("p", "{" + a_out + ", egress: [{" + to_b + ", ports: [{port: 81}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 10.0.0.2 TCP81; out 10.96.0.1 TCP80"}},
      {"R7: a block holds no ClusterIP, but what its backends say",
       web + service("two", "c", "10.96.0.2", "{port: 443}") + service("three", "c", "10.96.0.3", "{port: 443}") +
           policy("p", "{" + a_out + ", egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}, {ipBlock: {cidr: "
                       "10.0.0.2/32}}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 10.0.0.2; out 10.96.0.0/16 but 10.96.0.1/32 but 10.96.0.2/31; out "
        "10.96.0.1 TCP80 TCP90"}},
      {"R7: a block that is a ClusterIP is nothing",
       web + policy("p", "{" + a_out + ", egress: [{to: [{ipBlock: {cidr: 10.96.0.1/32}}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1"}},
      {"R5: an except that holds a ClusterIP is enough",
       web + policy("p", "{" + a_out + ", egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.96.0.0/16, "
                         "10.0.0.0/16]}}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 10.0.0.0/8 but 10.0.0.0/16 but 10.96.0.0/16"}},
      {"R7: without peers the Service's own ports are left to its backends",
       web + policy("p", "{" + a_out + ", egress: [{ports: [{port: 80}, {port: 90, endPort: 95}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 0.0.0.0/0 but 10.96.0.1/32 TCP80 TCP90-95; out 10.96.0.1 TCP90; out "
        "10.96.0.1 TCP91-95; out ::/0 TCP80 TCP90-95"}},
      {"R7: and where they allow all of them there is nothing to leave out",
       web + policy("p", "{" + a_out + ", egress: [{ports: [{port: 80, endPort: 90}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 0.0.0.0/0 TCP80-90; out ::/0 TCP80-90"}},
      {"R7: nor without peers and ports",
       web + policy("p", "{" + a_out + ", egress: [{}, {to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 0.0.0.0/0; out 10.96.0.0/16; out ::/0"}},
      {"R7: policies of one pod allow a Service together",
       service("all", "all", "10.96.0.9", "{port: 80}") + pod("d", "10.0.0.4") + pod("e", "10.0.0.5") +
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: both, namespace: x}\nspec: {clusterIP: 10.96.0.5, "
           "ports: [{port: 80}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, "
           "namespace: x, labels: {kubernetes.io/service-name: both}}\nendpoints: [{addresses: [10.0.0.4]}, "
           "{addresses: [10.0.0.5]}]\nports: [{port: 80}]\n" +
           policy("p", "{podSelector: {matchExpressions: [{key: app, operator: In, values: [a, c]}]}, policyTypes: "
                       "[Egress], egress: [{to: [{podSelector: {matchLabels: {app: d}}}]}]}") +
           policy("q", "{" + a_out + ", egress: [{to: [{podSelector: {matchLabels: {app: e}}}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1 c=10.0.0.3; out 10.0.0.4",
        "x/p#egress Egress: a=10.0.0.1 a=fd00::1; out 10.96.0.5 TCP80",
        "x/q Egress: a=10.0.0.1 a=fd00::1; out 10.0.0.5; out 10.96.0.5 TCP80"}},
      {"R1: the own pod is an allowed backend",
       web + policy("p", "{podSelector: {}, policyTypes: [Egress]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1 b=10.0.0.2 c=10.0.0.3",
        "x/p#egress Egress: b=10.0.0.2; out 10.96.0.1 TCP80 TCP90"}},
      {"R2: so is the own node",
       service("api", "h", "10.96.0.7", "{port: 443}") + pod("h", "", "", "nodeName: n1, hostNetwork: true") +
           pod("far", "10.0.0.8", "", "nodeName: n2") + policy("p", "{podSelector: {}, policyTypes: [Egress]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1 b=10.0.0.2 c=10.0.0.3 far=10.0.0.8",
        "x/p#egress Egress: a=10.0.0.1 a=fd00::1 b=10.0.0.2 c=10.0.0.3; out 10.96.0.7 TCP443"}},
      {"a Service without a ready backend is on no list",
       service("none", "nobody", "10.96.0.7", "{port: 443}") +
           policy("p", "{" + a_out + ", egress: [{ports: [{port: 443}]}]}"),
       {"x/p Egress: a=10.0.0.1 a=fd00::1; out 0.0.0.0/0 but 10.96.0.7/32 TCP443; out ::/0 TCP443"}},
      {"R8: at ingress a ClusterIP is an address like any other",
       web + policy("p", "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}"),
       {"x/p Ingress: a=10.0.0.1 a=fd00::1; in 10.96.0.0/16"}},
  };
}

TEST(ToPolicyEndpoints, APolicyInAuditCannotBeWritten) {
  ClusterSnapshot cluster;
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  policy.audit = true;
  cluster.network_policies[policy.key] = policy;
  const auto slices = to_policy_endpoints(cluster);
  ASSERT_FALSE(slices);
  EXPECT_EQ(slices.error().code, ErrorCode::unsupported);
  EXPECT_EQ(slices.error().message, "NetworkPolicy x/p is in audit, which a PolicyEndpoint cannot say");
}

TEST(ToPolicyEndpoints, EveryRowIsWrittenAsItsLines) {
  for (const auto& row : rows()) EXPECT_EQ(lines_of(kPods + row.objects), row.lines) << row.name;
}

TEST(ToPolicyEndpoints, ListsAreCutIntoSlicesThatAgree) {
  const std::string yaml =
      kPods + policy("p", "{podSelector: {}, ingress: [{" + kFromAll + "}], policyTypes: [Ingress, Egress]}");
  EXPECT_THAT(lines_of(yaml, 2),
              ElementsAre("x/p Ingress Egress: a=10.0.0.1 a=fd00::1; in 10.0.0.1; in 10.0.0.2",
                          "x/p Ingress Egress: b=10.0.0.2 c=10.0.0.3; in 10.0.0.3; in fd00::1"));
  const auto slices = to_policy_endpoints(cluster_of(yaml), {1, "2026-01-02T03:04:05Z"});
  ASSERT_TRUE(slices);
  EXPECT_EQ(slices->size(), 4u);
  PolicyEndpoints by_name;
  for (const auto& slice : *slices) {
    EXPECT_EQ(slice.pod_selector, LabelSelector{});
    EXPECT_EQ(slice.last_change_trigger_time, "2026-01-02T03:04:05Z");
    by_name[slice.key] = slice;
  }
  EXPECT_EQ(by_name.size(), 4u);
  EXPECT_TRUE(inconsistent_policies(by_name).empty());
}

TEST(ToPolicyEndpoints, NamesDependOnThePolicyThePartAndThePlaceAlone) {
  std::string long_name(253, 'n');
  long_name[241] = '.';
  const auto names = [&](const std::string& more) {
    const auto slices = to_policy_endpoints(
        cluster_of(kPods + more + policy("p", "{podSelector: {}}") + policy(long_name, "{podSelector: {}}")), {2, ""});
    std::set<std::string> out;
    for (const auto& slice : *slices) {
      EXPECT_EQ(slice.key.ns, "x");
      EXPECT_LE(slice.key.name.size(), 253u);
      EXPECT_EQ(slice.key.name.substr(0, 2), slice.policy.name == "p" ? "p-" : "nn");
      EXPECT_EQ(slice.key.name.find(".-"), std::string::npos) << "no name of an object";
      // What stands before the last '-' is the policy to the Amazon agent.
      if (slice.policy.name == "p") {
        EXPECT_EQ(slice.key.name.rfind('-'), 1u);
      }
      out.insert(slice.key.name);
    }
    return out;
  };
  const auto before = names("");
  EXPECT_EQ(before.size(), 4u);
  const auto after = names(pod("d", "10.0.0.4"));
  EXPECT_EQ(after.size(), 6u);
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
}

TEST(ToPolicyEndpoints, EveryEntryOfAPodHasItsNodesAddress) {
  const auto slices = to_policy_endpoints(cluster_of(kPods + pod("d", "10.0.0.4", "", "nodeName: n4") +
                                                     "---\napiVersion: v1\nkind: Node\nmetadata: {name: n4}\nstatus: "
                                                     "{addresses: [{type: InternalIP, address: 'fd00:9::9'}]}\n" +
                                                     policy("p", "{podSelector: {}}")));
  ASSERT_TRUE(slices);
  Lines hosts;
  for (const auto& entry : slices->front().pods) {
    hosts.push_back(entry.address->to_string() + " on " + entry.host_address->to_string());
  }
  EXPECT_THAT(hosts, ElementsAre("10.0.0.1 on 172.18.0.9", "fd00::1 on 172.18.0.9", "10.0.0.2 on 172.18.0.9",
                                 "10.0.0.3 on 172.18.0.9", "10.0.0.4 on fd00:9::9"));
}

}  // namespace
}  // namespace postern
