// SPDX-License-Identifier: Apache-2.0
// Random policies written twice, in an older form and as ClusterNetworkPolicies of v1alpha2, by two small
// writers that share nothing but the words; and random policies resolved by hand, pod by pod, into shuffled
// ClusterPolicyEndpoints. Both texts must give every pod the same verdict for the same reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "engine/policy/judge.h"
#include "engine/policy/resolve.h"
#include "test/support/effort.h"

namespace postern {
namespace {

constexpr int kCases = 150;
const std::vector<std::string> kApps{"a", "b", "c"};
const std::vector<std::string> kNetworks{"10.0.0.0/30", "10.0.0.2/32", "10.0.0.0/8", "198.51.100.0/24"};
const std::vector<std::string> kProtocols{"TCP", "UDP", "SCTP"};
constexpr std::uint8_t kNumbers[] = {6, 17, 132, 1};  // and one without ports

struct Port {
  std::string name;  // else a protocol and its ports
  std::string protocol;
  int lo = 0;
  int hi = 0;
};

struct Peer {
  enum class Kind { namespaces, pods, networks, nodes, unknown } kind = Kind::pods;
  std::string value;  // a label's value, a block
};

struct Rule {
  std::string action;  // Accept, Deny, Pass
  std::vector<Peer> peers;
  std::vector<Port> ports;
};

struct Policy {
  std::string name;
  bool admin = true;
  int priority = 0;
  std::string subject;  // of the label app; empty: every pod
  std::vector<Rule> ingress;
  std::vector<Rule> egress;
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : prng_(seed) {}
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(prng_.below(bound)); }
  bool chance(std::size_t percent) { return below(100) < percent; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  Prng prng_;
};

// What the two forms of a case can both say.
struct Words {
  bool egress_nodes = true;
  bool passes = true;
  bool names = true;    // of ports
  bool unknown = true;  // peers
};

Peer random_peer(Dice& dice, bool egress, const Words& words) {
  const auto kind = dice.below(egress ? 10 : 6);
  if (kind < 1 && words.unknown) return {Peer::Kind::unknown, "planets"};
  if (kind < 3) return {Peer::Kind::namespaces, dice.pick(std::vector<std::string>{"", "x", "y"})};
  if (kind < 6) return {Peer::Kind::pods, dice.pick(kApps)};
  if (kind == 9 && words.egress_nodes) return {Peer::Kind::nodes, ""};
  return {Peer::Kind::networks, dice.pick(kNetworks)};
}

Rule random_rule(Dice& dice, bool egress, const Words& words) {
  Rule rule;
  rule.action = dice.pick(words.passes ? std::vector<std::string>{"Accept", "Deny", "Pass"}
                                       : std::vector<std::string>{"Accept", "Deny"});
  for (auto n = 1 + dice.below(2); n > 0; --n) rule.peers.push_back(random_peer(dice, egress, words));
  // A port's name and networks or nodes exclude each other.
  const bool pods = std::none_of(rule.peers.begin(), rule.peers.end(), [](const Peer& peer) {
    return peer.kind == Peer::Kind::networks || peer.kind == Peer::Kind::nodes;
  });
  for (auto n = dice.below(3); n > 0; --n) {
    Port port;
    port.protocol = dice.pick(kProtocols);
    port.lo = 79 + static_cast<int>(dice.below(4));
    port.hi = port.lo + static_cast<int>(dice.below(3));
    if (words.names && pods && dice.chance(30)) port.name = dice.chance(50) ? "web" : "dns";
    rule.ports.push_back(port);
  }
  return rule;
}

Policy random_policy(Dice& dice, const std::string& name, const Words& words) {
  Policy policy;
  policy.name = name;
  policy.admin = dice.chance(60);
  policy.priority = static_cast<int>(dice.below(3));
  if (dice.chance(70)) policy.subject = dice.pick(kApps);
  for (auto n = dice.below(4); n > 0; --n) policy.ingress.push_back(random_rule(dice, false, words));
  for (auto n = dice.below(4); n > 0; --n) policy.egress.push_back(random_rule(dice, true, words));
  return policy;
}

std::string selector(const std::string& key, const std::string& value) {
  return value.empty() ? "{}" : "{matchLabels: {" + key + ": " + value + "}}";
}

std::string pods_text(const std::string& app) {
  return "pods: {namespaceSelector: {}, podSelector: " + selector("app", app) + "}";
}

std::string peer_text(const Peer& peer) {
  switch (peer.kind) {
    case Peer::Kind::namespaces: return "{namespaces: " + selector("kubernetes.io/metadata.name", peer.value) + "}";
    case Peer::Kind::pods: return "{" + pods_text(peer.value) + "}";
    case Peer::Kind::networks: return "{networks: [" + peer.value + "]}";
    case Peer::Kind::nodes: return "{nodes: {}}";
    case Peer::Kind::unknown: return "{" + peer.value + ": {}}";
  }
  return "";
}

std::string newer_port(const Port& port) {
  if (!port.name.empty()) return "{destinationNamedPort: " + port.name + "}";
  std::string protocol = port.protocol == "TCP" ? "tcp" : port.protocol == "UDP" ? "udp" : "sctp";
  const std::string ports = port.lo == port.hi ? "number: " + std::to_string(port.lo)
                                               : "range: {start: " + std::to_string(port.lo) +
                                                     ", end: " + std::to_string(port.hi) + "}";
  return "{" + protocol + ": {destinationPort: {" + ports + "}}}";
}

std::string older_port(const Port& port) {
  if (!port.name.empty()) return "{namedPort: " + port.name + "}";
  const std::string protocol = port.protocol == "TCP" ? "" : "protocol: " + port.protocol + ", ";
  if (port.lo == port.hi) return "{portNumber: {" + protocol + "port: " + std::to_string(port.lo) + "}}";
  return "{portRange: {" + protocol + "start: " + std::to_string(port.lo) + ", end: " + std::to_string(port.hi) + "}}";
}

std::string rules_text(const std::vector<Rule>& rules, bool egress, bool older, const std::string& accept) {
  std::string text = "[";
  for (const auto& rule : rules) {
    text += "{action: " + (rule.action == "Accept" ? accept : rule.action) + ", " + (egress ? "to" : "from") + ": [";
    for (const auto& peer : rule.peers) text += peer_text(peer) + ", ";
    text += "]";
    if (!rule.ports.empty()) {
      text += older ? ", ports: [" : ", protocols: [";
      for (const auto& port : rule.ports) text += (older ? older_port(port) : newer_port(port)) + ", ";
      text += "]";
    }
    text += "}, ";
  }
  return text + "]";
}

std::string tier_text(const Policy& policy) {
  return std::string("tier: ") + (policy.admin ? "Admin" : "Baseline") + ", priority: " + std::to_string(policy.priority);
}

std::string object(const std::string& version, const std::string& kind, const std::string& name,
                   const std::string& spec) {
  return "---\napiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n";
}

std::string subject_text(const Policy& policy) { return ", subject: {" + pods_text(policy.subject) + "}"; }

std::string newer_text(const Policy& policy) {
  return object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", policy.name,
                tier_text(policy) + subject_text(policy) + ", ingress: " +
                    rules_text(policy.ingress, false, false, "Accept") + ", egress: " +
                    rules_text(policy.egress, true, false, "Accept"));
}

std::string amazon_text(const Policy& policy) {
  return object("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", policy.name,
                tier_text(policy) + subject_text(policy) + ", ingress: " +
                    rules_text(policy.ingress, false, true, "Accept") + ", egress: " +
                    rules_text(policy.egress, true, true, "Accept"));
}

std::string admin_text(const Policy& policy) {
  const std::string rules = subject_text(policy) + ", ingress: " + rules_text(policy.ingress, false, true, "Allow") +
                            ", egress: " + rules_text(policy.egress, true, true, "Allow");
  if (policy.admin) {
    return object("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", policy.name,
                  "priority: " + std::to_string(policy.priority) + rules);
  }
  return object("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", "default", rules.substr(2));
}

struct OnePod {
  std::string ns;
  std::string name;
  std::string app;
  std::string address;
};

const std::vector<OnePod> kPods{
    {"x", "a", "a", "10.0.0.1"}, {"x", "b", "b", "10.0.0.2"}, {"y", "a", "a", "10.0.0.3"}, {"y", "c", "c", "10.0.0.4"}};

std::string ground_text() {
  std::string text;
  for (const auto& pod : kPods) {
    text += "---\n{apiVersion: v1, kind: Pod, metadata: {name: " + pod.name + ", namespace: " + pod.ns +
            ", labels: {app: " + pod.app + "}}, spec: {nodeName: n, containers: [{name: c, ports: [{name: web, "
            "containerPort: " + (pod.app == "a" ? "80" : "81") + "}, {name: dns, containerPort: 80, protocol: UDP}]}]}, "
            "status: {podIP: " + pod.address + "}}\n";
  }
  return text +
         "---\n{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: "
         "172.18.0.2}]}}\n"
         "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: in, namespace: x}, spec: "
         "{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: "
         "[{ports: [{protocol: UDP, port: 80}]}]}}\n";
}

// Everything that the pods are told, question by question: verdict and reason.
std::vector<std::uint32_t> verdicts(const std::string& policies) {
  const auto read = manifest::read_manifest(ground_text() + policies, "f.yaml");
  if (!read) {
    ADD_FAILURE() << read.error().front().to_string() << "\n" << policies;
    return {};
  }
  manifest::ClusterState state;
  const auto cluster = state.apply({}, read->objects);
  if (!cluster) {
    ADD_FAILURE() << cluster.error().to_string();
    return {};
  }
  std::vector<LocalEndpoint> endpoints;
  std::vector<IpAddress> peers{*IpAddress::parse("172.18.0.2"), *IpAddress::parse("198.51.100.7"),
                               *IpAddress::parse("203.0.113.1")};
  for (const auto& pod : kPods) {
    endpoints.push_back({EndpointId{static_cast<std::uint32_t>(endpoints.size() + 1)}, 7, {pod.ns, pod.name}});
    peers.push_back(*IpAddress::parse(pod.address));
  }
  RuleRegistry rules;
  const auto resolved = resolve(*cluster, endpoints, {}, rules);
  if (!resolved) {
    ADD_FAILURE() << resolved.error().to_string();
    return {};
  }
  std::vector<std::uint32_t> said;
  for (const auto& endpoint : resolved->endpoints) {
    for (const Direction direction : kDirections) {
      for (const auto& peer : peers) {
        for (const auto protocol : kNumbers) {
          for (std::uint16_t port = 78; port < 86; ++port) {
            const auto step = judge(*resolved, endpoint, direction, peer, protocol, port);
            said.push_back((pn_step_allows(step) ? 256u : 0u) + static_cast<std::uint32_t>(pn_step_reason(step)));
          }
        }
      }
    }
  }
  return said;
}

// Random cases would prove nothing if all of them said the same.
void expect_variety(const std::map<std::uint32_t, std::size_t>& counted) {
  for (const std::uint32_t reason : {PN_REASON_DENIED_ADMIN, PN_REASON_DENIED_BASELINE}) {
    EXPECT_GE(counted.contains(reason) ? counted.at(reason) : 0, 1000u) << "reason " << reason;
  }
  std::size_t allowed = 0;
  for (const auto& [said, count] : counted) allowed += said >= 256 ? count : 0;
  EXPECT_GE(allowed, 10000u);
}

// The same policies in two forms.
struct Forms {
  std::string newer;
  std::string other;
};

// Draws policies in both forms, again and again, and holds what they say to each other.
void expect_the_same(const std::function<Forms(Dice&)>& draw) {
  std::map<std::uint32_t, std::size_t> counted;
  const std::uint64_t first = test::first_seed();
  for (std::uint64_t seed = first; seed < first + test::scaled(kCases); ++seed) {
    Dice dice(seed);
    const Forms forms = draw(dice);
    const auto said = verdicts(forms.other);
    ASSERT_EQ(said, verdicts(forms.newer)) << "seed " << seed << "\n" << forms.newer << forms.other;
    for (const auto one : said) ++counted[one];
  }
  if (test::scale() >= 1) expect_variety(counted);
}

TEST(OlderForms, random_amazon_policies_say_what_the_same_in_v1alpha2_says) {
  expect_the_same([](Dice& dice) {
    Forms forms;
    for (const auto* name : {"p", "q", "r"}) {
      const Policy policy = random_policy(dice, name, {.egress_nodes = false});
      forms.newer += newer_text(policy);
      forms.other += amazon_text(policy);
    }
    return forms;
  });
}

TEST(OlderForms, random_admin_policies_and_a_baseline_say_what_the_same_in_v1alpha2_says) {
  expect_the_same([](Dice& dice) {
    Forms forms;
    const auto add = [&](const Policy& policy) {
      forms.newer += newer_text(policy);
      forms.other += admin_text(policy);
    };
    for (const auto* name : {"p", "q", "r"}) {
      Policy policy = random_policy(dice, name, {});
      policy.admin = true;
      add(policy);
    }
    Policy baseline = random_policy(dice, "default", {.passes = false});
    baseline.admin = false;
    add(baseline);
    return forms;
  });
}

bool is_pod_of(const OnePod& pod, const Peer& peer) {
  if (peer.kind == Peer::Kind::namespaces) return peer.value.empty() || peer.value == pod.ns;
  return peer.kind == Peer::Kind::pods && peer.value == pod.app;
}

// One entry for each address or block.
std::vector<std::string> entries_of(const std::vector<Rule>& rules, Dice& dice) {
  std::vector<std::string> entries;
  for (const auto& rule : rules) {
    std::vector<Port> ports = rule.ports;
    dice.shuffle(ports);
    std::string rest = ", action: " + rule.action;
    if (!ports.empty()) rest += ", ports: [";
    for (const auto& port : ports) {
      rest += "{protocol: " + port.protocol + ", port: " + std::to_string(port.lo) +
              (port.hi == port.lo ? "" : ", endPort: " + std::to_string(port.hi)) + "}, ";
    }
    if (!ports.empty()) rest += "]";
    std::set<std::string> cidrs;
    for (const auto& peer : rule.peers) {
      if (peer.kind == Peer::Kind::networks) cidrs.insert(peer.value);
      for (const auto& pod : kPods) {
        if (is_pod_of(pod, peer)) cidrs.insert(pod.address);
      }
    }
    for (const auto& cidr : cidrs) entries.push_back("{cidr: " + cidr + rest + "}");
    if (std::any_of(rule.peers.begin(), rule.peers.end(),
                    [](const Peer& peer) { return peer.kind == Peer::Kind::unknown; })) {
      ADD_FAILURE() << "no entry says that";
    }
  }
  dice.shuffle(entries);
  return entries;
}

// What a controller writes: pods and entries in any order over three slices.
std::string slices_text(const Policy& policy, Dice& dice) {
  constexpr std::size_t kSlices = 3;
  std::string pods[kSlices];
  std::string ingress[kSlices];
  std::string egress[kSlices];
  for (const auto& pod : kPods) {
    if (!policy.subject.empty() && policy.subject != pod.app) continue;
    pods[dice.below(kSlices)] +=
        "{name: " + pod.name + ", namespace: " + pod.ns + ", podIP: " + pod.address + ", hostIP: 172.18.0.2}, ";
  }
  for (const auto& entry : entries_of(policy.ingress, dice)) ingress[dice.below(kSlices)] += entry + ", ";
  for (const auto& entry : entries_of(policy.egress, dice)) egress[dice.below(kSlices)] += entry + ", ";
  std::string text;
  for (std::size_t i = 0; i < kSlices; ++i) {
    text += object("networking.k8s.aws/v1alpha1", "ClusterPolicyEndpoint", policy.name + "-" + std::to_string(i),
                   "policyRef: {name: " + policy.name + "}, " + tier_text(policy) + subject_text(policy) +
                       ", podSelectorEndpoints: [" + pods[i] + "], ingress: [" + ingress[i] + "], egress: [" + egress[i] +
                       "]");
  }
  return text;
}

// A slice keeps no order, so the policies are such that have none to lose.
void sort_by_action(std::vector<Rule>& rules) {
  const auto place = [](const Rule& rule) { return rule.action == "Deny" ? 0 : rule.action == "Accept" ? 1 : 2; };
  std::stable_sort(rules.begin(), rules.end(), [&](const Rule& a, const Rule& b) { return place(a) < place(b); });
}

TEST(OlderForms, random_policies_say_the_same_as_slices_in_any_order) {
  expect_the_same([](Dice& dice) {
    Forms forms;
    for (const auto* name : {"p", "q", "r"}) {
      Policy policy = random_policy(dice, name, {.egress_nodes = false, .names = false, .unknown = false});
      sort_by_action(policy.ingress);
      sort_by_action(policy.egress);
      forms.newer += newer_text(policy);
      forms.other += slices_text(policy, dice);
    }
    return forms;
  });
}

}  // namespace
}  // namespace postern
