// SPDX-License-Identifier: Apache-2.0
// Which PolicyEndpoints are enforced: of each policy the newest, unless they disagree (R25c) or one of them
// cannot be read. Then its last ones that agreed stay, and every other policy goes on. A policy that was
// never seen to agree is closed: whoever some slice lists is isolated in each direction that some slice
// names, and no rule of it admits anything.
//
// A controller writes slices one by one, so an edit may disagree for a moment. What is enforced follows at
// once; when to speak of it is its owner's business (take_news).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/policy/policy_endpoints.h"

namespace postern::agent {

using SlicePtr = std::shared_ptr<const PolicyEndpoint>;

class AgreeingSlices {
 public:
  void put(SlicePtr slice);
  void remove(const NamespacedName& key);
  void clear();
  // Slices whose newest version cannot be read, and no others; what was put of them is a version before. Whoever
  // reads them says so.
  void refuse(const std::set<NamespacedName>& keys);

  // Brings `in_force`, which nobody else changes, to what is to be enforced. All that changed since the
  // last call counts as one change: a list is never judged by its beginning. Slices that stand in for
  // newer ones are kept under a name of their own, "NAME#POLICY", as theirs may be another policy's now.
  void settle(PolicyEndpoints& in_force);

  struct News {
    std::vector<std::string> errors;   // a policy has come to disagree, or disagrees on something else
    std::vector<std::string> notices;  // it agrees again
  };
  // Everything that is different from what was said before.
  News take_news();

  // Policies that disagree now.
  [[nodiscard]] std::size_t disagreeing() const { return held_.size(); }
  // Errors that take_news() has given.
  [[nodiscard]] std::uint64_t disagreements() const { return disagreements_; }

 private:
  using Slices = std::map<NamespacedName, SlicePtr>;
  struct Policy {
    Slices newest;
    Slices in_force;      // by the name they are kept under
    bool agreed = false;  // what is in force is a version that agreed
  };
  [[nodiscard]] Slices wanted(const NamespacedName& ref, Policy& policy);
  [[nodiscard]] bool is_refused(const Policy& policy) const;

  std::map<NamespacedName, Policy> policies_;          // by policyRef
  std::map<NamespacedName, NamespacedName> policy_of_;  // of every newest slice
  std::set<NamespacedName> refused_;                   // slices
  std::set<NamespacedName> touched_;                   // policies, since the last settle()
  std::map<NamespacedName, std::string> held_;         // and what is to be said of it
  std::map<NamespacedName, std::string> said_;
  std::uint64_t disagreements_ = 0;
};

}  // namespace postern::agent
