// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/nearest.h"

#include <algorithm>
#include <utility>

namespace postern::manifest {

namespace {

// Letters to insert, remove or change.
std::size_t distance_of(std::string_view a, std::string_view b) {
  std::vector<std::size_t> above(b.size() + 1);
  for (std::size_t j = 0; j < above.size(); ++j) above[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::vector<std::size_t> row{i + 1};
    for (std::size_t j = 0; j < b.size(); ++j) {
      row.push_back(std::min({above[j] + (a[i] == b[j] ? 0u : 1u), above[j + 1] + 1, row[j] + 1}));
    }
    above = std::move(row);
  }
  return above.back();
}

}  // namespace

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  constexpr std::size_t kShown = 3;
  constexpr std::size_t kLongest = 253;  // of a Kubernetes name; longer ones are not worth the time
  std::vector<std::pair<std::size_t, std::string>> near;
  if (name.size() > 2 * kLongest) return {};
  for (const auto& candidate : known) {
    const std::size_t longer = std::max(name.size(), candidate.size());
    const std::size_t shorter = std::min(name.size(), candidate.size());
    if (longer - shorter > longer / 2) continue;
    const std::size_t distance = distance_of(name, candidate);
    if (2 * distance <= longer) near.emplace_back(distance, candidate);
  }
  std::sort(near.begin(), near.end());
  std::string text;
  for (std::size_t i = 0; i < near.size() && i < kShown; ++i) {
    text += (i == 0 ? "; did you mean " : " or ") + near[i].second;
  }
  return text.empty() ? text : text + "?";
}

}  // namespace postern::manifest
