// SPDX-License-Identifier: Apache-2.0
// What random cases covered, printed and held to a minimum: a generator that no longer reaches something
// would otherwise look like a proof.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <string>

#include "test/property_oracle/world.h"

namespace postern::property {

enum class Feature : std::uint8_t {
  match_labels,
  in,
  not_in,
  exists,
  does_not_exist,
  peer_none,
  peer_pods,
  peer_namespaces,
  peer_both,
  peer_block,
  peer_block_with_except,
  port_none,
  port_number,
  port_range,
  port_name,
  port_protocol_only,
  count
};
using Features = std::bitset<static_cast<std::size_t>(Feature::count)>;

class Distribution {
 public:
  explicit Distribution(const World& world) { look_at(world); }
  Distribution() = default;

  // Of the world that questions are about from here on.
  void look_at(const World& world);
  void count(const oracle::Question& question, const oracle::Verdict& verdict);

  // A table on standard output.
  void print() const;
  // What is below its minimum, by line; empty: all is reached. `share`: of the run's full size.
  [[nodiscard]] std::string too_rare(double share) const;
  [[nodiscard]] std::uint64_t verdicts() const { return allowed_ + denied_; }
  [[nodiscard]] std::uint64_t worlds() const { return worlds_; }

 private:
  struct Reach {
    std::uint64_t asked = 0;     // verdicts where a rule that counts has it
    std::uint64_t admitted = 0;  // of these, verdicts that a rule with it admits
  };
  std::map<oracle::RuleName, Features> rules_;
  std::map<NamespacedName, Features> selectors_;
  std::map<Feature, Reach> features_;
  std::map<std::string, Reach> kinds_;  // protocols, families, directions, and what stands above the rules
  std::map<std::string, std::uint64_t> reasons_;
  std::uint64_t allowed_ = 0;
  std::uint64_t denied_ = 0;
  std::uint64_t worlds_ = 0;
};

}  // namespace postern::property
