// SPDX-License-Identifier: Apache-2.0
// Which scenarios of a run: by name, by label, by shard; all three must agree.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace postern::sim {

struct Selection {
  std::vector<std::string> name_globs;                      // any; empty: every name
  std::vector<std::pair<std::string, std::string>> labels;  // all
  std::size_t shard = 1;                                    // from 1
  std::size_t shards = 1;
};

// `labels`: "key=value"; `shard`: "I/N" or empty.
Result<Selection> make_selection(const std::vector<std::string>& filters,
                                 const std::vector<std::string>& labels, const std::string& shard);

bool selects(const Selection& selection, const std::string& name,
             const std::map<std::string, std::string>& labels);
// Whether the shard takes the `index`-th (from 0) of what name and labels select: neighbours go to
// different shards, so that a slow suite spreads.
bool in_shard(const Selection& selection, std::size_t index);

}  // namespace postern::sim
