// SPDX-License-Identifier: Apache-2.0
// A content is one direction's complete rule list, with terms as numbers. Endpoints with equal lists
// share it, and with it a row of the tables.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "engine/compile/signatures.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

using ContentId = std::uint32_t;
inline constexpr ContentId kNoContent = 0;  // the direction is not judged

struct Content {
  ContentId id = kNoContent;
  Direction direction = Direction::ingress;
  bool isolated = false;
  bool strict = false;
  std::vector<ResolvedRule> rules;  // `peers` hold TermIds
};

class ContentPool {
 public:
  // Null if the direction is not judged. `terms` gives the TermId of each index of the policy's terms.
  std::shared_ptr<const Content> intern(const DirectionPolicy& policy, Direction direction,
                                        const std::vector<TermId>& terms);
  void keep_only(const std::set<ContentId>& used);

 private:
  using Key = std::vector<std::uint32_t>;
  std::map<Key, std::shared_ptr<const Content>> contents_;
  ContentId next_ = kNoContent + 1;
};

}  // namespace postern
