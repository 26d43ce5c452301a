// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/selection.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "sim/runner/glob.h"

namespace postern::sim {

namespace {

std::optional<std::size_t> parse_count(std::string_view text) {
  std::size_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<Selection> make_selection(const std::vector<std::string>& filters,
                                 const std::vector<std::string>& labels, const std::string& shard) {
  Selection selection;
  selection.name_globs = filters;
  for (const std::string& label : labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::invalid_input, "--label " + label + ": expected key=value");
    }
    selection.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  if (shard.empty()) return selection;
  const auto slash = shard.find('/');
  const auto index = parse_count(std::string_view(shard).substr(0, slash));
  const auto count =
      slash == std::string::npos ? std::nullopt : parse_count(std::string_view(shard).substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count) {
    return fail(ErrorCode::invalid_input, "--shard " + shard + ": expected I/N with I from 1 to N");
  }
  selection.shard = *index;
  selection.shards = *count;
  return selection;
}

bool selects(const Selection& selection, const std::string& name,
             const std::map<std::string, std::string>& labels) {
  const bool named = selection.name_globs.empty() ||
                     std::any_of(selection.name_globs.begin(), selection.name_globs.end(),
                                 [&](const std::string& glob) { return glob_matches(glob, name); });
  return named && std::all_of(selection.labels.begin(), selection.labels.end(), [&](const auto& wanted) {
           const auto found = labels.find(wanted.first);
           return found != labels.end() && found->second == wanted.second;
         });
}

bool in_shard(const Selection& selection, std::size_t index) {
  return index % selection.shards == selection.shard - 1;
}

}  // namespace postern::sim
