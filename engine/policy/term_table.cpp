// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/term_table.h"

#include "engine/policy/sort_unique.h"

namespace postern {

// Label syntax without the characters that separate parts of a key. Anything else, which the API
// server would refuse, is written as its code, so that no two selectors share a text.
std::string plain_text(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const bool usual = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '/';
    if (usual) {
      out += c;
      continue;
    }
    const auto code = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[code >> 4];
    out += kHex[code & 15];
  }
  return out;
}

namespace {

std::string text_of(const LabelRequirement& requirement) {
  std::string list;
  for (const auto& value : requirement.values) list += (list.empty() ? "" : "|") + plain_text(value);
  const std::string key = plain_text(requirement.key);
  switch (requirement.op) {
    case SelectorOperator::in:
      return key + " in (" + list + ")";
    case SelectorOperator::not_in:
      return key + " notin (" + list + ")";
    case SelectorOperator::exists:
      return key;
    case SelectorOperator::does_not_exist:
      return "!" + key;
  }
  return {};
}

std::string text_of(const LabelSelector& selector) {
  std::string text = "{";
  for (const auto& [key, value] : selector.match_labels) text += plain_text(key) + "=" + plain_text(value) + ",";
  for (const auto& requirement : selector.match_expressions) text += text_of(requirement) + ",";
  return text + "}";
}

std::vector<Cidr> sorted_unique(std::vector<Cidr> blocks) {
  sort_unique(blocks);
  return blocks;
}

std::string text_of(const IpBlock& block) {
  std::string text = "block " + block.cidr.to_string();
  for (const auto& except : sorted_unique(block.excepts)) text += " except " + except.to_string();
  return text;
}

std::vector<IpAddress> addresses_of(const std::vector<PeerMember>& members) {
  std::vector<IpAddress> addresses;
  addresses.reserve(members.size());
  for (const auto& member : members) addresses.push_back(member.address);
  sort_unique(addresses);
  return addresses;
}

}  // namespace

std::string key_of(const PolicyPeer& peer, const std::string& policy_namespace) {
  if (const auto* block = std::get_if<IpBlock>(&peer)) return text_of(*block);
  const auto& pods = std::get<PodPeer>(peer);
  std::string text = "pods ";
  text +=
      pods.namespaces ? "namespaces " + text_of(*pods.namespaces) : "namespace " + plain_text(policy_namespace);
  // An absent pod selector and an empty one both name every pod.
  return text + " labels " + text_of(pods.pods ? *pods.pods : LabelSelector{});
}

TermIndex TermTable::add(Term term) {
  const auto index = static_cast<TermIndex>(terms_.size());
  by_key_.emplace(term.key, index);
  terms_.push_back(std::move(term));
  return index;
}

std::vector<PeerMember> TermTable::members_of(const PolicyPeer* peer,
                                              const std::string& policy_namespace) const {
  if (peer == nullptr) return peers_.every_pod();
  if (const auto* block = std::get_if<IpBlock>(peer)) return peers_.inside(*block);
  return peers_.matching(std::get<PodPeer>(*peer), policy_namespace);
}

TermIndex TermTable::term_of(const PolicyPeer& peer, const std::string& policy_namespace) {
  Term term;
  term.key = key_of(peer, policy_namespace);
  const auto known = by_key_.find(term.key);
  if (known != by_key_.end()) return known->second;
  if (const auto* block = std::get_if<IpBlock>(&peer)) {
    term.kind = TermKind::block;
    term.block = {block->cidr, sorted_unique(block->excepts)};
  } else {
    term.addresses = addresses_of(members_of(&peer, policy_namespace));
  }
  return add(std::move(term));
}

const std::vector<NamedPortTerm>& TermTable::named_port(const PolicyPeer* peer,
                                                        const std::string& policy_namespace,
                                                        const std::string& name, Protocol protocol) {
  const std::string who = peer == nullptr ? "every pod" : key_of(*peer, policy_namespace);
  const std::string key = who + " port " + plain_text(name) + "/" + std::string(to_string(protocol));
  const auto [found, inserted] = named_.try_emplace(key);
  if (!inserted) return found->second;

  // A pod whose name stands for several numbers is in the term of each (R35).
  std::map<std::uint16_t, std::vector<PeerMember>> by_number;
  for (const auto& member : members_of(peer, policy_namespace)) {
    for (const auto& port : member.pod->ports) {
      if (port.name == name && port.protocol == protocol) by_number[port.port].push_back(member);
    }
  }
  for (const auto& [number, members] : by_number) {
    Term term;
    term.key = key + " = " + std::to_string(number);
    term.addresses = addresses_of(members);
    found->second.push_back({number, add(std::move(term))});
  }
  return found->second;
}

TermIndex TermTable::nodes(const LabelSelector& selector) {
  std::vector<IpAddress> found;
  for (const auto& [name, node] : cluster_.nodes) {
    if (!selector.matches(node.labels)) continue;
    for (const auto& entry : node.addresses) found.push_back(entry.address);
  }
  return addresses("nodes " + text_of(selector), std::move(found));
}

TermIndex TermTable::addresses(const std::string& key, std::vector<IpAddress> addresses) {
  const auto known = by_key_.find(key);
  if (known != by_key_.end()) return known->second;
  Term term;
  term.key = key;
  term.addresses = std::move(addresses);
  sort_unique(term.addresses);
  return add(std::move(term));
}

std::vector<Term> TermTable::finish(std::vector<TermIndex>& order) {
  order.resize(terms_.size());
  std::vector<Term> sorted;
  sorted.reserve(terms_.size());
  for (const auto& [key, index] : by_key_) {
    order[index] = static_cast<TermIndex>(sorted.size());
    sorted.push_back(std::move(terms_[index]));
  }
  terms_.clear();
  by_key_.clear();
  named_.clear();
  return sorted;
}

}  // namespace postern
