// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/model/objects.h"

namespace postern {

bool matches(const LabelRequirement& requirement, const Labels& labels) {
  const auto found = labels.find(requirement.key);
  const bool present = found != labels.end();
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), found->second) != requirement.values.end();
  };
  switch (requirement.op) {
    case SelectorOperator::in: return present && listed();
    // An object without the key matches NotIn, as labels.Requirement does.
    case SelectorOperator::not_in: return !present || !listed();
    case SelectorOperator::exists: return present;
    case SelectorOperator::does_not_exist: return !present;
  }
  return false;
}

std::string to_string(const LabelRequirement& requirement) {
  std::string list;
  for (const auto& value : requirement.values) list += (list.empty() ? "" : ",") + value;
  switch (requirement.op) {
    case SelectorOperator::in: return requirement.key + " in (" + list + ")";
    case SelectorOperator::not_in: return requirement.key + " notin (" + list + ")";
    case SelectorOperator::exists: return requirement.key;
    case SelectorOperator::does_not_exist: return "!" + requirement.key;
  }
  return {};
}

bool LabelSelector::matches(const Labels& labels) const {
  for (const auto& [key, value] : match_labels) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return std::all_of(match_expressions.begin(), match_expressions.end(),
                     [&](const LabelRequirement& requirement) { return postern::matches(requirement, labels); });
}

std::string LabelSelector::to_string() const {
  if (empty()) return "(everything)";
  std::string text;
  for (const auto& [key, value] : match_labels) text += (text.empty() ? "" : ",") + key + "=" + value;
  for (const auto& requirement : match_expressions) {
    text += (text.empty() ? "" : ",") + postern::to_string(requirement);
  }
  return text;
}

}  // namespace postern
