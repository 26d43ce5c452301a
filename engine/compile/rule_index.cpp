// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/rule_index.h"

#include <algorithm>

namespace postern {

RuleIndex::RuleIndex(const Content& content, const BundleOfTerm& bundle_of) {
  for (std::uint32_t place = 0; place < content.rules.size(); ++place) {
    const ResolvedRule& rule = content.rules[place];
    if (rule.any_peer) {
      any_peer_.push_back(place);
      continue;
    }
    for (const TermId term : rule.peers) {
      const std::pair entry(bundle_of.at(term), place);
      // Terms of one bundle tend to come in a row.
      if (by_bundle_.empty() || by_bundle_.back() != entry) by_bundle_.push_back(entry);
    }
  }
  std::sort(by_bundle_.begin(), by_bundle_.end());
  by_bundle_.erase(std::unique(by_bundle_.begin(), by_bundle_.end()), by_bundle_.end());
  if (!by_bundle_.empty()) has_bundle_.resize(by_bundle_.back().first + std::size_t{1});
  for (const auto& [bundle, place] : by_bundle_) has_bundle_[bundle] = true;
}

bool RuleIndex::names_any(std::span<const BundleId> signature) const {
  return std::any_of(signature.begin(), signature.end(),
                     [&](BundleId bundle) { return bundle < has_bundle_.size() && has_bundle_[bundle]; });
}

std::vector<std::uint32_t> RuleIndex::rules_for(std::span<const BundleId> signature) const {
  std::vector<std::uint32_t> places = any_peer_;
  // Both are sorted; whichever is shorter is walked, and the other searched.
  if (signature.size() <= by_bundle_.size()) {
    auto from = by_bundle_.begin();
    for (const BundleId bundle : signature) {
      from = std::lower_bound(from, by_bundle_.end(), std::pair(bundle, std::uint32_t{0}));
      for (; from != by_bundle_.end() && from->first == bundle; ++from) places.push_back(from->second);
    }
  } else {
    for (const auto& [bundle, place] : by_bundle_) {
      if (std::binary_search(signature.begin(), signature.end(), bundle)) places.push_back(place);
    }
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

}  // namespace postern
