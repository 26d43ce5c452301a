// SPDX-License-Identifier: Apache-2.0
// What random cases covered of the cluster tiers, strictness and audit, printed and held to a minimum: next to
// Distribution, which counts what NetworkPolicies bring.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "test/property_oracle/world.h"

namespace postern::property {

class TiersDistribution {
 public:
  // `verdict` of a question about this world.
  void count(const World& world, const oracle::Question& question, const oracle::Verdict& verdict);
  void print() const;
  // What is below its minimum, by line; empty: all is reached. `share`: of the run's full size.
  [[nodiscard]] std::string too_rare(double share) const;
  [[nodiscard]] std::uint64_t verdicts() const { return allowed_ + denied_; }

 private:
  struct Reach {
    std::uint64_t asked = 0;    // verdicts where a rule of a policy for this pod and direction has it
    std::uint64_t decided = 0;  // of these, verdicts by a rule that has it, Pass included
  };
  std::map<std::string, Reach> rows_;
  std::map<std::string, std::uint64_t> cases_;
  std::uint64_t allowed_ = 0;
  std::uint64_t denied_ = 0;
};

}  // namespace postern::property
