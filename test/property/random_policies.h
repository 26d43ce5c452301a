// SPDX-License-Identifier: Apache-2.0
// A small world of terms, rules and endpoints that changes at random, and the questions worth asking
// of it: every address and port at which some answer could change.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "engine/compile/table_compiler.h"
#include "test/property/table_walk.h"

namespace postern {

class RandomPolicies {
 public:
  explicit RandomPolicies(std::uint64_t seed);

  // One to a few changes, of every kind there is.
  void change();
  // A change of pods alone: an address joins or leaves a selector.
  void change_members();
  void add_rule_to_isolated_endpoint();

  [[nodiscard]] ResolvedPolicy policy() const;
  [[nodiscard]] const CompileSettings& settings() const { return settings_; }
  [[nodiscard]] std::vector<Question> questions() const;

  // Equal meaning, other spelling (laws of the compiler).
  bool split_blocks = false;  // each block as its two halves
  bool split_ports = false;   // each port range as two
  bool idle_terms = false;    // terms that no rule names

 private:
  struct RandomRule {
    Tier tier = Tier::network_policy;
    Action action = Action::accept;
    std::uint32_t priority = 0;
    std::uint32_t policy = 0;
    bool any_peer = false;
    std::set<std::string> peers;  // keys
    bool names_cluster_ips = false;
    bool any_port = false;
    std::vector<PortMatch> ports;
  };
  struct RandomDirection {
    bool isolated = false;
    bool strict = false;
    std::set<std::uint32_t> rules;  // ids
    // What is in audit (R44): some of the rules, and what would isolate or shut besides.
    std::set<std::uint32_t> audited;
    bool audit_isolates = false;
    bool audit_is_strict = false;
  };
  struct RandomEndpoint {
    std::uint32_t id = 0;
    std::array<RandomDirection, 2> directions;
  };
  struct RandomService {
    // By protocol and port: addresses with their target ports, and endpoints by id.
    struct Port {
      std::set<std::pair<IpAddress, std::uint16_t>> backends;
      std::set<std::pair<std::uint32_t, std::uint16_t>> endpoints;
    };
    std::map<std::pair<Protocol, std::uint16_t>, Port> ports;
  };

  [[nodiscard]] bool chance(unsigned percent) { return prng_.below(100) < percent; }
  IpAddress some_address();
  Cidr some_block();
  std::string some_peer();
  RandomRule some_rule();
  void change_once();
  void change_endpoint();
  void change_service();
  [[nodiscard]] ResolvedService resolved(const IpAddress& address, const RandomService& service) const;
  void change_direction(RandomDirection& direction);
  [[nodiscard]] DirectionPolicy resolved(const RandomDirection& direction,
                                         const std::map<std::string, TermIndex>& places) const;
  [[nodiscard]] std::vector<std::string> keys_of(const std::string& peer) const;
  [[nodiscard]] ResolvedRule resolved(std::uint32_t id, const RandomRule& rule,
                                      const std::map<std::string, TermIndex>& places) const;

  Prng prng_;
  std::map<std::string, std::set<IpAddress>> selectors_;
  std::map<std::string, IpBlock> blocks_;
  std::map<std::uint32_t, RandomRule> rules_;
  std::map<std::uint32_t, RandomEndpoint> endpoints_;  // by ifindex
  std::set<IpAddress> own_node_;
  std::map<IpAddress, RandomService> services_;  // by ClusterIP
  std::uint32_t next_rule_ = 1;
  std::uint32_t next_endpoint_ = 1;
  CompileSettings settings_;
};

// What judge() says to a question, in the words of TableWalk.
std::uint32_t judged(const ResolvedPolicy& policy, const Question& question);

// "ifindex 5 ingress from 10.0.0.1 TCP 80".
std::string to_string(const Question& question);
// "allow rule 4", for messages.
std::string step_text(std::uint32_t step);

}  // namespace postern
