// SPDX-License-Identifier: Apache-2.0
// Random clusters and their policies: few names, few label values and few numbers, so that things match;
// and the questions worth asking of one, near the borders of its blocks and ranges. Worlds are made from a
// seed and shrink by losing parts.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <iosfwd>
#include <set>
#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "test/oracle/policy.h"

namespace postern::property {

inline constexpr const char* kOwnNode = "n1";  // the node whose pods are judged

struct World {
  ClusterSnapshot objects;
  bool strict = false;
  std::set<IpAddress> host_addresses;  // of the own node, beyond its status
  std::uint64_t questions = 0;         // picks what is asked

  [[nodiscard]] oracle::Cluster cluster() const { return {objects, strict, {{kOwnNode, host_addresses}}}; }
  [[nodiscard]] std::vector<IpAddress> own_node() const;
};
void showValue(const World& world, std::ostream& out);

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : prng_(seed) {}
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(prng_.below(bound)); }
  bool chance(unsigned percent) { return prng_.below(100) < percent; }
  std::uint64_t next() { return prng_.next(); }
  template <typename List>
  const auto& pick(const List& list) {
    return *std::next(std::begin(list), static_cast<std::ptrdiff_t>(below(std::size(list))));
  }

 private:
  Prng prng_;
};

World random_world(Dice& dice);
// One thing that happens to a cluster: a policy or pod comes, goes or changes, labels are edited, pods
// trade addresses, a Service or its end points change.
void change(World& world, Dice& dice);
NetworkPolicy random_policy(Dice& dice);
PolicyRule random_rule(Dice& dice);

// What worlds are made of.
inline constexpr std::array<const char*, 3> kNamespaces{"x", "y", "z"};
inline constexpr std::array<const char*, 3> kPortNames{"web", "alt", "dns"};
inline constexpr std::array<std::uint16_t, 8> kPorts{1, 53, 80, 81, 255, 256, 8080, 65535};
Protocol some_protocol(Dice& dice);
Labels some_labels(Dice& dice);
LabelSelector some_selector(Dice& dice, bool of_namespaces);
IpBlock some_block(Dice& dice);

// ClusterNetworkPolicies of both tiers, namespaces with an enforcement of their own, and audits (tiers.cpp).
void add_tiers(World& world, Dice& dice);
// One of these comes, goes or changes.
void change_tiers(World& world, Dice& dice);

// Worlds that lack one part of this one.
std::vector<World> smaller(const World& world);

// As rapidcheck generates and shrinks them.
rc::Gen<World> any_world();
rc::Gen<World> any_world_with_tiers();

// Addresses, ports and protocols at which an answer about this world could change.
struct Borders {
  std::vector<IpAddress> addresses;
  std::vector<std::uint16_t> ports;
};
Borders borders_of(const World& world);
inline constexpr auto kGre = static_cast<Protocol>(47);  // a protocol without ports
// The pods of the own node that are judged there.
std::vector<NamespacedName> subjects_of(const World& world);

// `count` of them at random; or all there are. None between two families.
std::vector<oracle::Question> random_questions(const World& world, const Borders& borders, std::size_t count);
std::vector<oracle::Question> every_question(const World& world);
std::string to_string(const oracle::Question& question);

}  // namespace postern::property
