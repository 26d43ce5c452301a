// SPDX-License-Identifier: Apache-2.0
// Which rules of a content concern an address, by its signature.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/compile/content.h"

namespace postern {

// The bundle of each term in use. It changes when rules do, so an index holds for one update.
using BundleOfTerm = std::unordered_map<TermId, BundleId>;

class RuleIndex {
 public:
  RuleIndex(const Content& content, const BundleOfTerm& bundle_of);

  // Whether any rule names one of these bundles.
  [[nodiscard]] bool names_any(std::span<const BundleId> signature) const;
  // Places of the rules that concern an address of this signature, ascending.
  [[nodiscard]] std::vector<std::uint32_t> rules_for(std::span<const BundleId> signature) const;

 private:
  std::vector<std::uint32_t> any_peer_;                        // places in content.rules
  std::vector<std::pair<BundleId, std::uint32_t>> by_bundle_;  // sorted, unique
  std::vector<bool> has_bundle_;                               // by BundleId
};

}  // namespace postern
