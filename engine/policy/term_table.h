// SPDX-License-Identifier: Apache-2.0
// The terms that the rules of one resolve name: each distinct selector, block and resolution of a
// named port is evaluated once, whoever asks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/policy/peer_index.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

// What a named port is at the addresses of one term.
struct NamedPortTerm {
  std::uint16_t port = 0;
  TermIndex term = 0;
};

class TermTable {
 public:
  explicit TermTable(const ClusterSnapshot& cluster) : cluster_(cluster), peers_(cluster) {}

  // The addresses of a peer. Indexes count in the order of first use until finish().
  TermIndex term_of(const PolicyPeer& peer, const std::string& policy_namespace);
  // The pods of a peer that have a port of this name and protocol, by its number (R10). Null: every
  // pod, which is what an empty `to` names here. Only pods have named ports, also inside a block.
  const std::vector<NamedPortTerm>& named_port(const PolicyPeer* peer, const std::string& policy_namespace,
                                               const std::string& name, Protocol protocol);
  // Every address in status.addresses of the nodes of a selector (R43).
  TermIndex nodes(const LabelSelector& selector);
  // A set of addresses that comes as such. `key`: of its own, beginning with a word that no key of a
  // peer begins with; the addresses of a key that is known are ignored.
  TermIndex addresses(const std::string& key, std::vector<IpAddress> addresses);
  // Until finish().
  [[nodiscard]] const Term& at(TermIndex index) const { return terms_[index]; }

  // Hands over the terms sorted by key; `order[old index]` is the index there.
  std::vector<Term> finish(std::vector<TermIndex>& order);

 private:
  TermIndex add(Term term);
  std::vector<PeerMember> members_of(const PolicyPeer* peer, const std::string& policy_namespace) const;

  const ClusterSnapshot& cluster_;
  PeerIndex peers_;
  std::vector<Term> terms_;
  std::map<std::string, TermIndex> by_key_;
  std::map<std::string, std::vector<NamedPortTerm>> named_;
};

// The identity of a peer over time: equal texts name equal sets in every snapshot.
std::string key_of(const PolicyPeer& peer, const std::string& policy_namespace);
// Text as a part of such a key: letters that separate the parts are written as their codes.
std::string plain_text(std::string_view text);

}  // namespace postern
