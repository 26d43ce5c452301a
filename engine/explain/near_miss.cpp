// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/near_miss.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "engine/base/nearest_names.h"

namespace postern::explain_detail {

namespace {

// What a requirement's absence costs in the order of near misses: one edit of a label, port or block
// is 1; what no edit of the named thing alone can mend is more.
constexpr std::uint32_t kOneEdit = 1;
constexpr std::uint32_t kAnotherBlock = 2;
constexpr std::uint32_t kNeverBySelector = 3;

std::uint32_t letters_apart(const std::string& value, const std::vector<std::string>& wanted) {
  std::size_t best = 16;
  for (const auto& candidate : wanted) best = std::min(best, edit_distance(value, candidate, 16));
  return static_cast<std::uint32_t>(best);
}

std::string label_of(const Labels& labels, const std::string& key, const std::string& who) {
  const auto found = labels.find(key);
  if (found == labels.end()) return who + " has no label " + key;
  return who + " has " + key + "=" + found->second;
}

std::string port_text(const PolicyPort& entry) {
  const std::string protocol{postern::to_string(entry.protocol)};
  if (!entry.port) return "every " + protocol + " port";
  if (const auto* name = std::get_if<std::string>(&*entry.port)) return protocol + " port named " + *name;
  const auto& range = std::get<PortRange>(*entry.port);
  std::string text = protocol + " " + std::to_string(range.lo);
  return range.lo == range.hi ? text : text + "-" + std::to_string(range.hi);
}

std::string all_ports_text(const std::vector<PolicyPort>& ports) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (std::size_t i = 0; i < ports.size() && i < kShown; ++i)
    text += (i == 0 ? "" : ", ") + port_text(ports[i]);
  if (ports.size() > kShown) text += " and " + std::to_string(ports.size() - kShown) + " more";
  return text;
}

std::string ports_of(const Pod& pod) {
  std::string text;
  for (const auto& port : pod.ports) {
    text += (text.empty() ? "" : ", ") + (port.name.empty() ? std::string("unnamed") : port.name) + "=" +
            std::string(postern::to_string(port.protocol)) + " " + std::to_string(port.port);
  }
  return text.empty() ? "no port declared" : text;
}

std::uint32_t apart(std::uint16_t a, std::uint16_t b) {
  return a > b ? static_cast<std::uint32_t>(a - b) : static_cast<std::uint32_t>(b - a);
}

Gap named_port_gap(const std::string& name, Protocol protocol, const Asked& asked, const Seen& target) {
  Gap gap;
  const std::string what = "port named " + name;
  if (target.pod == nullptr) {
    gap.add(MissingKind::named_port,
            "allows the " + what + ", and " + target.who + " is not a pod that could have one", kAnotherBlock,
            0);
    return gap;
  }
  const ContainerPort* other_protocol = nullptr;
  std::vector<std::uint16_t> numbers;
  for (const auto& port : target.pod->ports) {
    if (port.name != name) continue;
    if (port.protocol != protocol) {
      other_protocol = &port;
      continue;
    }
    if (asked.protocol == static_cast<std::uint8_t>(protocol) && port.port == asked.port) return gap;
    numbers.push_back(port.port);
  }
  const std::string protocol_text{postern::to_string(protocol)};
  if (numbers.empty()) {
    std::string text = "allows the " + protocol_text + " " + what + "; " + target.who;
    text += other_protocol != nullptr
                ? " has it as " + std::string(postern::to_string(other_protocol->protocol))
                : " has no such port (" + ports_of(*target.pod) + ")";
    gap.add(MissingKind::named_port, text, kOneEdit, 8);
    return gap;
  }
  const std::string text = "allows the " + what + ", which is " + protocol_text + " " +
                           std::to_string(numbers.front()) + " on " + target.who + "; asked " +
                           to_string(asked);
  const bool same_protocol = asked.protocol == static_cast<std::uint8_t>(protocol);
  gap.add(same_protocol ? MissingKind::port : MissingKind::protocol, text, kOneEdit,
          same_protocol ? apart(numbers.front(), asked.port) : 4);
  return gap;
}

Gap port_gap(const PolicyPort& entry, const Asked& asked, const Seen& target) {
  Gap gap;
  if (!has_ports(asked.protocol)) {
    gap.add(MissingKind::protocol,
            "allows " + port_text(entry) + "; " + to_string(asked) + " needs a rule without ports",
            kAnotherBlock, 0);
    return gap;
  }
  if (entry.port) {
    if (const auto* name = std::get_if<std::string>(&*entry.port)) {
      return named_port_gap(*name, entry.protocol, asked, target);
    }
  }
  const std::string text = "allows " + port_text(entry) + "; asked " + to_string(asked);
  const PortRange range = entry.port ? std::get<PortRange>(*entry.port) : PortRange{};
  const bool same_protocol = asked.protocol == static_cast<std::uint8_t>(entry.protocol);
  const bool port_in = range.contains(asked.port);
  if (!same_protocol && !port_in) gap.add(MissingKind::port, text, kAnotherBlock, 0);
  else if (!same_protocol) gap.add(MissingKind::protocol, text, kOneEdit, 4);
  else if (!port_in) {
    gap.add(MissingKind::port, text, kOneEdit,
            std::min(apart(range.lo, asked.port), apart(range.hi, asked.port)));
  }
  return gap;
}

Gap pod_peer_gap(const PodPeer& peer, const std::string& policy_namespace, const Seen& seen,
                 const ClusterSnapshot& cluster) {
  Gap gap;
  if (seen.pod == nullptr) {
    gap.add(MissingKind::not_a_pod,
            seen.host_network
                ? seen.who + " uses its node's network, which no selector matches"
                : "names pods by selector; " + seen.who + " is not a pod, only an ipBlock can match it",
            kNeverBySelector, 0);
    return gap;
  }
  const std::string& ns = seen.pod->key.ns;
  if (peer.namespaces) {
    gap.add(selector_gap({*peer.namespaces, cluster.namespace_labels(ns), MissingKind::namespace_label,
                          "namespaceSelector", "namespace " + ns}));
  } else if (ns != policy_namespace) {
    gap.add(MissingKind::own_namespace,
            "without a namespaceSelector it means pods of namespace " + policy_namespace + "; " + seen.who +
                " is in " + ns,
            kOneEdit, 2);
  }
  if (peer.pods) {
    gap.add(selector_gap({*peer.pods, seen.pod->labels, MissingKind::pod_label, "podSelector", seen.who}));
  }
  return gap;
}

Gap block_gap(const IpBlock& block, const Seen& seen) {
  Gap gap;
  if (seen.cluster_ip) {
    gap.add(MissingKind::outside_block, seen.address.to_string() + " is a ClusterIP, which no block matches",
            kNeverBySelector, 0);
    return gap;
  }
  if (block.contains(seen.address)) return gap;
  if (block.cidr.family() != seen.address.family()) {
    gap.add(MissingKind::outside_block,
            seen.address.to_string() + " is of the other family than " + block.cidr.to_string() +
                ": blocks match their own alone",
            kAnotherBlock, 0);
    return gap;
  }
  if (!block.cidr.contains(seen.address)) {
    gap.add(MissingKind::outside_block, seen.address.to_string() + " is outside " + block.cidr.to_string(),
            kAnotherBlock, 0);
    return gap;
  }
  for (const auto& except : block.excepts) {
    if (!except.contains(seen.address)) continue;
    gap.add(
        MissingKind::in_except,
        seen.address.to_string() + " lies in except " + except.to_string() + " of " + block.cidr.to_string(),
        kOneEdit, 0);
    break;
  }
  return gap;
}

}  // namespace

bool has_ports(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(Protocol::tcp) ||
         protocol == static_cast<std::uint8_t>(Protocol::udp) ||
         protocol == static_cast<std::uint8_t>(Protocol::sctp);
}

std::string to_string(const Asked& asked) {
  const std::string name{postern::to_string(static_cast<Protocol>(asked.protocol))};
  if (name == "unknown") return "IP protocol " + std::to_string(asked.protocol);
  return has_ports(asked.protocol) ? name + " " + std::to_string(asked.port) : name;
}

void Gap::add(MissingKind kind, std::string text, std::uint32_t weight, std::uint32_t far) {
  missing.push_back({kind, std::move(text)});
  cost += weight;
  distance += far;
}

void Gap::add(Gap other) {
  std::move(other.missing.begin(), other.missing.end(), std::back_inserter(missing));
  cost += other.cost;
  distance += other.distance;
}

bool Gap::closer_than(const Gap& other) const {
  return cost != other.cost ? cost < other.cost : distance < other.distance;
}

Gap selector_gap(const SelectorQuestion& question) {
  Gap gap;
  const auto& labels = question.labels;
  for (const auto& [key, value] : question.selector.match_labels) {
    const auto found = labels.find(key);
    if (found != labels.end() && found->second == value) continue;
    const std::uint32_t far = found == labels.end() ? 16 : letters_apart(found->second, {value});
    gap.add(question.kind,
            question.what + " wants " + key + "=" + value + "; " + label_of(labels, key, question.who),
            kOneEdit, far);
  }
  for (const auto& requirement : question.selector.match_expressions) {
    if (matches(requirement, labels)) continue;
    const auto found = labels.find(requirement.key);
    const bool listed = requirement.op == SelectorOperator::in && found != labels.end();
    gap.add(question.kind,
            question.what + " wants " + postern::to_string(requirement) + "; " +
                label_of(labels, requirement.key, question.who),
            kOneEdit, listed ? letters_apart(found->second, requirement.values) : 16);
  }
  return gap;
}

Gap peers_gap(const PolicyRule& rule, const std::string& policy_namespace, const Seen& peer,
              const ClusterSnapshot& cluster) {
  if (rule.peers.empty()) return {};
  Gap best;
  best.cost = std::numeric_limits<std::uint32_t>::max();
  for (const auto& candidate : rule.peers) {
    const auto* block = std::get_if<IpBlock>(&candidate);
    Gap gap = block != nullptr ? block_gap(*block, peer)
                               : pod_peer_gap(std::get<PodPeer>(candidate), policy_namespace, peer, cluster);
    if (gap.closer_than(best)) best = std::move(gap);
    if (best.missing.empty()) break;
  }
  return best;
}

Gap ports_gap(const PolicyRule& rule, const Asked& asked, const Seen& target) {
  if (rule.ports.empty()) return {};
  Gap best;
  best.cost = std::numeric_limits<std::uint32_t>::max();
  for (const auto& entry : rule.ports) {
    Gap gap = port_gap(entry, asked, target);
    if (gap.closer_than(best)) best = std::move(gap);
    if (best.missing.empty()) return best;
  }
  // The nearest entry ranks the rule; the reader wants to see what else it offers.
  const auto kind = best.missing.front().kind;
  if (rule.ports.size() > 1 && kind != MissingKind::named_port) {
    best.missing.front().text = "allows " + all_ports_text(rule.ports) + "; asked " + to_string(asked);
  }
  return best;
}

}  // namespace postern::explain_detail
