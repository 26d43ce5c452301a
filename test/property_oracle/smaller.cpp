// SPDX-License-Identifier: Apache-2.0
// How a world shrinks, and how what is left of it reads.
#include <ostream>

#include "test/property_oracle/world.h"

namespace postern::property {

namespace {

using Worlds = std::vector<World>;

template <typename Change>
void with(const World& world, Worlds& out, Change change) {
  World copy = world;
  change(copy);
  out.push_back(std::move(copy));
}

// `get(world)` is a map: one world for each element that is left out.
template <typename Get>
void without_each(const World& world, Worlds& out, Get get) {
  World original = world;
  for (const auto& [key, value] : get(original)) {
    with(world, out, [&, key = key](World& copy) { get(copy).erase(key); });
  }
}

template <typename List>
void without_each_of(List list, const std::function<void(const List&)>& take) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    List shorter = list;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    take(shorter);
  }
}

void smaller_selector(const LabelSelector& selector, const std::function<void(const LabelSelector&)>& take) {
  if (!selector.empty()) take({});
  if (!selector.match_labels.empty() && !selector.match_expressions.empty()) {
    take({.match_labels = selector.match_labels, .match_expressions = {}});
    take({.match_labels = {}, .match_expressions = selector.match_expressions});
  }
}

void smaller_rule(const PolicyRule& rule, const std::function<void(const PolicyRule&)>& take) {
  without_each_of<std::vector<PolicyPeer>>(rule.peers, [&](const auto& peers) { take({peers, rule.ports}); });
  without_each_of<std::vector<PolicyPort>>(rule.ports, [&](const auto& ports) { take({rule.peers, ports}); });
  for (std::size_t i = 0; i < rule.peers.size(); ++i) {
    const auto replaced = [&](PolicyPeer peer) {
      PolicyRule copy = rule;
      copy.peers[i] = std::move(peer);
      take(copy);
    };
    if (const auto* block = std::get_if<IpBlock>(&rule.peers[i])) {
      without_each_of<std::vector<Cidr>>(block->excepts, [&](const auto& excepts) {
        replaced(IpBlock{block->cidr, excepts});
      });
      continue;
    }
    const auto& pods = std::get<PodPeer>(rule.peers[i]);
    if (pods.pods)
      smaller_selector(*pods.pods, [&](const auto& s) { replaced(PodPeer{pods.namespaces, s}); });
    if (pods.namespaces)
      smaller_selector(*pods.namespaces, [&](const auto& s) { replaced(PodPeer{s, pods.pods}); });
  }
}

void smaller_policies(const World& world, Worlds& out) {
  for (const auto& entry : world.objects.network_policies) {
    const auto& key = entry.first;
    const NetworkPolicy& policy = entry.second;
    const auto put = [&](const NetworkPolicy& changed) {
      with(world, out, [&](World& copy) { copy.objects.network_policies[key] = changed; });
    };
    NetworkPolicy copy = policy;
    if (policy.isolates_ingress && policy.isolates_egress) {
      copy.isolates_ingress = false;
      put(copy);
      copy = policy;
      copy.isolates_egress = false;
      put(copy);
    }
    smaller_selector(policy.pod_selector, [&](const LabelSelector& selector) {
      copy = policy;
      copy.pod_selector = selector;
      put(copy);
    });
    for (const auto rules : {&NetworkPolicy::ingress, &NetworkPolicy::egress}) {
      without_each_of<std::vector<PolicyRule>>(policy.*rules, [&](const auto& fewer) {
        copy = policy;
        copy.*rules = fewer;
        put(copy);
      });
      for (std::size_t i = 0; i < (policy.*rules).size(); ++i) {
        smaller_rule((policy.*rules)[i], [&](const PolicyRule& rule) {
          copy = policy;
          (copy.*rules)[i] = rule;
          put(copy);
        });
      }
    }
  }
}

void smaller_rule(const ClusterRule& rule, const std::function<void(const ClusterRule&)>& take) {
  const auto put = [&](auto change) {
    ClusterRule copy = rule;
    change(copy);
    take(copy);
  };
  if (rule.peers.size() > 1) {
    without_each_of<std::vector<ClusterPeer>>(
        rule.peers, [&](const auto& peers) { put([&](ClusterRule& copy) { copy.peers = peers; }); });
  }
  without_each_of<std::vector<ClusterPort>>(
      rule.protocols, [&](const auto& ports) { put([&](ClusterRule& copy) { copy.protocols = ports; }); });
  for (std::size_t i = 0; i < rule.peers.size(); ++i) {
    const auto* pods = std::get_if<ClusterPods>(&rule.peers[i]);
    if (pods == nullptr) continue;
    const auto replaced = [&](ClusterPods peer) { put([&](ClusterRule& copy) { copy.peers[i] = peer; }); };
    smaller_selector(pods->namespaces, [&](const auto& s) { replaced({s, pods->pods}); });
    smaller_selector(pods->pods, [&](const auto& s) { replaced({pods->namespaces, s}); });
  }
}

void smaller_cluster_policies(const World& world, Worlds& out) {
  for (const auto& entry : world.objects.cluster_network_policies) {
    const ClusterNetworkPolicy& policy = entry.second;
    const auto put = [&](auto change) {
      with(world, out, [&](World& copy) { change(copy.objects.cluster_network_policies.at(policy.name)); });
    };
    if (policy.audit) put([](ClusterNetworkPolicy& copy) { copy.audit = false; });
    smaller_selector(policy.subject.namespaces,
                     [&](const auto& s) { put([&](ClusterNetworkPolicy& copy) { copy.subject.namespaces = s; }); });
    smaller_selector(policy.subject.pods,
                     [&](const auto& s) { put([&](ClusterNetworkPolicy& copy) { copy.subject.pods = s; }); });
    for (const auto rules : {&ClusterNetworkPolicy::ingress, &ClusterNetworkPolicy::egress}) {
      without_each_of<std::vector<ClusterRule>>(
          policy.*rules, [&](const auto& fewer) { put([&](ClusterNetworkPolicy& copy) { copy.*rules = fewer; }); });
      for (std::size_t i = 0; i < (policy.*rules).size(); ++i) {
        smaller_rule((policy.*rules)[i], [&](const ClusterRule& rule) {
          put([&](ClusterNetworkPolicy& copy) { (copy.*rules)[i] = rule; });
        });
      }
    }
  }
}

void smaller_words_of_namespaces(const World& world, Worlds& out) {
  for (const auto& [name, ns] : world.objects.namespaces) {
    const auto put = [&, name = name](auto change) {
      with(world, out, [&](World& copy) { change(copy.objects.namespaces.at(name)); });
    };
    if (ns.audit) put([](Namespace& copy) { copy.audit = false; });
    for (std::size_t i = 0; i < ns.enforcement.size(); ++i) {
      if (ns.enforcement[i]) put([=](Namespace& copy) { copy.enforcement[i].reset(); });
    }
  }
  for (const auto& [key, policy] : world.objects.network_policies) {
    if (policy.audit)
      with(world, out, [&, key = key](World& copy) { copy.objects.network_policies.at(key).audit = false; });
  }
}

void smaller_pods(const World& world, Worlds& out) {
  for (const auto& [key, pod] : world.objects.pods) {
    const auto put = [&, key = key](auto change) {
      with(world, out, [&](World& copy) { change(copy.objects.pods.at(key)); });
    };
    if (!pod.ports.empty()) put([](Pod& copy) { copy.ports.pop_back(); });
    if (pod.ports.size() > 1) put([](Pod& copy) { copy.ports.erase(copy.ports.begin()); });
    for (const auto& label : pod.labels) put([&](Pod& copy) { copy.labels.erase(label.first); });
    if (!pod.ready) put([](Pod& copy) { copy.ready = true; });
    if (pod.phase != PodPhase::running && pod.live()) put([](Pod& copy) { copy.phase = PodPhase::running; });
    if (pod.addresses.size() > 1) {
      put([](Pod& copy) { copy.addresses.pop_back(); });
      put([](Pod& copy) { copy.addresses.erase(copy.addresses.begin()); });
    }
  }
}

}  // namespace

std::vector<World> smaller(const World& world) {
  Worlds out;
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.network_policies; });
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.cluster_network_policies; });
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.services; });
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.endpoint_slices; });
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.pods; });
  without_each(
      world, out, [](World & copy) -> auto& { return copy.objects.namespaces; });
  if (world.strict) with(world, out, [](World& copy) { copy.strict = false; });
  smaller_policies(world, out);
  smaller_cluster_policies(world, out);
  smaller_words_of_namespaces(world, out);
  smaller_pods(world, out);
  for (const auto& [key, service] : world.objects.services) {
    if (service.ports.size() < 2) continue;
    with(world, out, [&, key = key](World& copy) { copy.objects.services.at(key).ports.pop_back(); });
    with(world, out, [&, key = key](World& copy) {
      auto& ports = copy.objects.services.at(key).ports;
      ports.erase(ports.begin());
    });
  }
  return out;
}

// ---- Reading ------------------------------------------------------------------------------------

namespace {

std::string text(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += (out.empty() ? "" : ",") + key + "=" + value;
  return "{" + out + "}";
}

std::string text(const IntOrString& port) {
  const auto* number = std::get_if<std::uint16_t>(&port);
  return number != nullptr ? std::to_string(*number) : std::get<std::string>(port);
}

std::string text(const std::vector<IpAddress>& addresses) {
  std::string out;
  for (const auto& address : addresses) out += " " + address.to_string();
  return out.empty() ? " (no address)" : out;
}

std::string text(const PolicyPeer& peer) {
  if (const auto* block = std::get_if<IpBlock>(&peer)) {
    std::string out = block->cidr.to_string();
    for (const auto& except : block->excepts) out += " except " + except.to_string();
    return out;
  }
  const auto& pods = std::get<PodPeer>(peer);
  return (pods.namespaces ? "namespaces " + pods.namespaces->to_string() + " " : std::string()) +
         (pods.pods ? "pods " + pods.pods->to_string() : std::string());
}

std::string text(const PolicyPort& port) {
  std::string out(to_string(port.protocol));
  if (!port.port) return out;
  if (const auto* name = std::get_if<std::string>(&*port.port)) return out + " " + *name;
  const auto& range = std::get<PortRange>(*port.port);
  return out + " " + std::to_string(range.lo) + (range.hi != range.lo ? "-" + std::to_string(range.hi) : "");
}

void show(const std::vector<PolicyRule>& rules, const char* direction, std::ostream& out) {
  for (const auto& rule : rules) {
    out << "    " << direction << ":";
    for (const auto& peer : rule.peers) out << " [" << text(peer) << "]";
    if (rule.peers.empty()) out << " anybody";
    out << " at";
    for (const auto& port : rule.ports) out << " [" << text(port) << "]";
    if (rule.ports.empty()) out << " any port";
    out << "\n";
  }
}

std::string text(const ClusterPods& pods) {
  return "namespaces " + pods.namespaces.to_string() + " pods " + pods.pods.to_string();
}

std::string text(const ClusterPeer& peer) {
  if (const auto* pods = std::get_if<ClusterPods>(&peer)) return text(*pods);
  if (const auto* nodes = std::get_if<ClusterNodes>(&peer)) return "nodes " + nodes->nodes.to_string();
  if (std::holds_alternative<ClusterDomainNames>(peer)) return "domain names";
  if (std::holds_alternative<UnknownPeer>(peer)) return "unknown";
  std::string out = "networks";
  for (const auto& block : std::get<ClusterNetworks>(peer).networks) out += " " + block.to_string();
  return out;
}

std::string text(const ClusterPort& port) {
  if (const auto* named = std::get_if<NamedPort>(&port)) return named->name;
  const auto& of = std::get<ProtocolPorts>(port);
  PolicyPort like{.protocol = of.protocol, .port = {}};
  if (of.ports) like.port = *of.ports;
  return text(like);
}

void show(const std::vector<ClusterRule>& rules, const char* direction, std::ostream& out) {
  static constexpr std::array<const char*, 3> kActions{"Deny", "Accept", "Pass"};
  for (const auto& rule : rules) {
    out << "    " << kActions[static_cast<std::size_t>(rule.action)] << " " << direction << ":";
    for (const auto& peer : rule.peers) out << " [" << text(peer) << "]";
    out << " at";
    for (const auto& port : rule.protocols) out << " [" << text(port) << "]";
    out << (rule.protocols.empty() ? " any port\n" : "\n");
  }
}

void show(const Namespace& ns, std::ostream& out) {
  static constexpr std::array<const char*, 2> kDirection{" ingress", " egress"};
  out << "  namespace " << ns.name << " " << text(ns.labels);
  for (std::size_t i = 0; i < ns.enforcement.size(); ++i) {
    if (!ns.enforcement[i]) continue;
    out << kDirection[i] << (*ns.enforcement[i] == Enforcement::strict ? " strict" : " standard");
  }
  out << (ns.audit ? " audit\n" : "\n");
}

void show(const Pod& pod, std::ostream& out) {
  static constexpr std::array<const char*, 5> kPhases{" pending", "", " succeeded", " failed", " unknown"};
  out << "  pod " << pod.key.to_string() << " " << text(pod.labels) << text(pod.addresses) << " on "
      << (pod.node_name.empty() ? "no node" : pod.node_name) << (pod.host_network ? " hostNetwork" : "")
      << kPhases[static_cast<std::size_t>(pod.phase)] << (pod.ready ? "" : " not ready");
  for (const auto& port : pod.ports) {
    out << " " << (port.name.empty() ? "-" : port.name) << ":" << port.port << "/"
        << to_string(port.protocol);
  }
  out << "\n";
}

}  // namespace

void showValue(const World& world, std::ostream& out) {
  out << (world.strict ? "strict\n" : "\n");
  for (const auto& [name, ns] : world.objects.namespaces) show(ns, out);
  for (const auto& [name, node] : world.objects.nodes) {
    if (!node.labels.empty()) out << "  node " << name << " " << text(node.labels) << "\n";
  }
  for (const auto& [key, pod] : world.objects.pods) show(pod, out);
  for (const auto& [key, service] : world.objects.services) {
    out << "  service " << key.to_string() << text(service.cluster_ips) << " "
        << (service.selector ? text(*service.selector) : "no selector");
    for (const auto& port : service.ports) {
      out << " " << port.name << ":" << port.port << "/" << to_string(port.protocol) << "->"
          << text(port.target_port);
    }
    out << "\n";
  }
  for (const auto& [key, slice] : world.objects.endpoint_slices) {
    out << "  slice " << key.to_string() << " of " << slice.service << ":";
    for (const auto& port : slice.ports)
      out << " " << port.name << ":" << port.port << "/" << to_string(port.protocol);
    for (const auto& endpoint : slice.endpoints)
      out << " [" << text(endpoint.addresses) << (endpoint.ready ? "]" : " not ready]");
    out << "\n";
  }
  for (const auto& [key, policy] : world.objects.network_policies) {
    out << "  policy " << key.to_string() << " for " << policy.pod_selector.to_string()
        << (policy.isolates_ingress ? " ingress" : "") << (policy.isolates_egress ? " egress" : "")
        << (policy.audit ? " audit" : "") << "\n";
    show(policy.ingress, "from", out);
    show(policy.egress, "to", out);
  }
  for (const auto& [name, policy] : world.objects.cluster_network_policies) {
    out << "  cluster policy " << name << (policy.tier == Tier::admin ? " admin " : " baseline ") << policy.priority
        << " for " << text(policy.subject) << (policy.audit ? " audit" : "") << "\n";
    show(policy.ingress, "from", out);
    show(policy.egress, "to", out);
  }
}

}  // namespace postern::property
