// SPDX-License-Identifier: Apache-2.0
// What keeps one rule of one policy from matching a peer and a port. Nothing missing: the rule
// allows. Of several peers or ports the one that lacks least speaks for the rule.
#pragma once

#include <string>
#include <vector>

#include "engine/explain/explain.h"

namespace postern::explain_detail {

// One end as matching sees it: an address, and the pod behind it if selectors can match that.
struct Seen {
  const Pod* pod = nullptr;  // live, of its own network; else null
  IpAddress address;
  std::string who;
  bool host_network = false;
  bool cluster_ip = false;  // of a Service that is asked: in no block (R7)
};

// What the packet asks of a rule.
struct Asked {
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

// "TCP 80", "ICMP", "IP protocol 47".
std::string to_string(const Asked& asked);
bool has_ports(std::uint8_t protocol);

struct Gap {
  std::vector<Missing> missing;
  std::uint32_t cost = 0;
  std::uint32_t distance = 0;
  void add(MissingKind kind, std::string text, std::uint32_t weight, std::uint32_t far);
  void add(Gap other);
  [[nodiscard]] bool closer_than(const Gap& other) const;
};

// Each requirement of a selector that the labels fail. `what`: "podSelector"; `who`: "x/a".
struct SelectorQuestion {
  const LabelSelector& selector;
  const Labels& labels;
  MissingKind kind;
  std::string what;
  std::string who;
};
Gap selector_gap(const SelectorQuestion& question);

Gap peers_gap(const PolicyRule& rule, const std::string& policy_namespace, const Seen& peer,
              const ClusterSnapshot& cluster);
// `target`: the pod whose named ports count: the subject at ingress, the destination at egress (R9, R10).
Gap ports_gap(const PolicyRule& rule, const Asked& asked, const Seen& target);

}  // namespace postern::explain_detail
