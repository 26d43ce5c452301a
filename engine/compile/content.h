// SPDX-License-Identifier: Apache-2.0
// A content is one direction's complete rule list, with terms as numbers. Endpoints with equal lists
// share it, and with it a row of the tables. Only an endpoint that is a backend of some Service has a
// content of its own for egress, since it counts as an allowed backend for itself (R1).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
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
  std::vector<ResolvedRule> rules;      // `peers` hold TermIds; empty if there is a base
  std::uint32_t self = 0;               // EndpointId of the backend that this content is for; 0: anybody
  std::shared_ptr<const Content> base;  // with `self`: the content that holds the rules
  // Where something is in audit (R44): what is enforced. The rules above are then those with all of it.
  std::shared_ptr<const Content> enforced;
};

// Whether any packet may be denied; what is enforced beside an audit may be nothing.
inline bool decides(const Content& rules) { return rules.isolated || rules.strict || !rules.rules.empty(); }

// The one that holds the rules.
inline const Content& rules_of(const Content& content) { return content.base ? *content.base : content; }

class ContentPool {
 public:
  // Null if the direction is not judged. `terms` gives the TermId of each index of the policy's terms.
  std::shared_ptr<const Content> intern(const DirectionPolicy& policy, Direction direction,
                                        const std::vector<TermId>& terms);
  // The same rules for an endpoint that may meet itself behind a Service.
  std::shared_ptr<const Content> for_backend(const std::shared_ptr<const Content>& base, std::uint32_t self);
  // Keeps also what those that are kept are based on.
  void keep_only(const std::set<ContentId>& used);

 private:
  using Key = std::vector<std::uint32_t>;
  std::shared_ptr<const Content> intern(const DirectionRules& rules, const std::vector<TermId>& terms, Content content);
  std::map<Key, std::shared_ptr<const Content>> contents_;
  std::map<std::pair<ContentId, std::uint32_t>, std::shared_ptr<const Content>> for_backends_;
  ContentId next_ = kNoContent + 1;
};

}  // namespace postern
