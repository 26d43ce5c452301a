// SPDX-License-Identifier: Apache-2.0
#include "engine/base/nearest_names.h"

#include <algorithm>
#include <utility>

namespace postern {

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  // Long texts that cannot be near are not compared letter by letter.
  const std::size_t apart = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (apart >= limit) return limit;
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return std::min(row[b.size()], limit);
}

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count) {
  constexpr std::size_t kLongest = 512;  // twice a Kubernetes name; longer ones are not worth the time
  std::vector<std::pair<std::size_t, std::string>> ranked;
  if (name.size() > kLongest) return {};
  for (const auto& candidate : names) {
    if (candidate.size() > kLongest) continue;
    const std::size_t distance = edit_distance(name, candidate);
    // More than half of the letters differ: not a slip of the pen.
    if (distance * 2 > std::max(name.size(), candidate.size())) continue;
    ranked.emplace_back(distance, candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  std::vector<std::string> nearest;
  for (const auto& entry : ranked) {
    if (nearest.size() == count) break;
    nearest.push_back(entry.second);
  }
  return nearest;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& names, std::string_view before) {
  const auto nearest = nearest_names(name, names);
  if (nearest.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < nearest.size(); ++i) {
    if (i > 0) text += i + 1 == nearest.size() ? " or " : ", ";
    text.append(before).append(nearest[i]);
  }
  return text + "?";
}

}  // namespace postern
