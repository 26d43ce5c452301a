// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/class_plan.h"

#include <algorithm>
#include <map>

namespace postern {

ClassPlan::ClassPlan(const std::vector<StoredHost>& hosts, const std::vector<ClassInterval>& intervals,
                     const AddressSignatures& wanted) {
  plan_intervals(intervals, wanted);
  plan_hosts(hosts, wanted);
}

std::uint32_t ClassPlan::group_of(ClassId from, SignatureId to) {
  const auto [found, inserted] =
      by_key_.try_emplace(pn_pair(from, to), static_cast<std::uint32_t>(groups_.size()));
  if (inserted) groups_.push_back({from, to, 0, 0, 0});
  ++groups_[found->second].size;
  return found->second;
}

// Cuts the address space wherever the old or the new intervals do.
void ClassPlan::plan_intervals(const std::vector<ClassInterval>& intervals, const AddressSignatures& wanted) {
  std::size_t before = 0;
  std::size_t after = 0;
  AddressNumber first = 0;
  while (true) {
    intervals_.push_back({first, group_of(intervals[before].class_id, wanted.intervals[after].signature)});
    const bool more_before = before + 1 < intervals.size();
    const bool more_after = after + 1 < wanted.intervals.size();
    if (!more_before && !more_after) return;
    // Whoever has none left stands back: the other's next is no later than the last address.
    const AddressNumber next_before = more_before ? intervals[before + 1].first : kLastAddress;
    const AddressNumber next_after = more_after ? wanted.intervals[after + 1].first : kLastAddress;
    first = std::min(next_before, next_after);
    if (more_before && next_before == first) ++before;
    if (more_after && next_after == first) ++after;
  }
}

void ClassPlan::plan_hosts(const std::vector<StoredHost>& hosts, const AddressSignatures& wanted) {
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t interval = 0;
  hosts_.reserve(std::max(hosts.size(), wanted.hosts.size()));
  while (before < hosts.size() || after < wanted.hosts.size()) {
    const bool take_before = before < hosts.size() && (after == wanted.hosts.size() ||
                                                       hosts[before].address <= wanted.hosts[after].address);
    const bool take_after = after < wanted.hosts.size() &&
                            (before == hosts.size() || wanted.hosts[after].address <= hosts[before].address);
    PlannedHost host;
    host.stored_before = take_before;
    host.stored_after = take_after;
    host.stored.address = take_before ? hosts[before].address : wanted.hosts[after].address;
    while (interval + 1 < intervals_.size() && intervals_[interval + 1].first <= host.stored.address)
      ++interval;
    host.around = intervals_[interval].group;
    if (take_before) host.stored = hosts[before];
    // What a look-up gives today, and what it shall give.
    const ClassId from = take_before ? hosts[before].class_id : groups_[host.around].from;
    const SignatureId to = take_after ? wanted.hosts[after].signature : groups_[host.around].to;
    host.group = group_of(from, to);
    hosts_.push_back(host);
    before += take_before ? 1 : 0;
    after += take_after ? 1 : 0;
  }
}

// Finds a class for every signature that has none: one of the groups that want it lends its number,
// or a fresh one is taken.
void ClassPlan::choose_leaders(const Choices& choices) {
  std::unordered_map<ClassId, std::uint32_t> groups_of_class;
  std::set<SignatureId> wanted;
  for (const auto& group : groups_) {
    ++groups_of_class[group.from];
    wanted.insert(group.to);
  }
  const auto may_redefine = [&](const ClassGroup& group) {
    return group.from != kNoTermClass && groups_of_class[group.from] == 1 &&
           !wanted.contains(choices.signature_of[group.from]);
  };
  std::map<SignatureId, ClassGroup*> leaders;
  for (auto& group : groups_) {
    if (target_.contains(group.to)) continue;
    auto& leader = leaders[group.to];
    const auto rank = [&](const ClassGroup& g) { return std::pair(may_redefine(g), g.size); };
    if (leader == nullptr || rank(group) > rank(*leader)) leader = &group;
  }
  // In the order of the groups, so that numbers follow addresses.
  for (auto& group : groups_) {
    const auto found = leaders.find(group.to);
    if (found == leaders.end() || found->second != &group) continue;
    if (may_redefine(group)) {
      group.settled = group.from;
      redefined_.push_back({group.from, group.to});
    } else {
      group.settled = choices.take_class();
      fresh_.push_back({group.settled, group.to, group.from});
      dying_columns_of_[group.settled] = group.from;
    }
    group.early = group.settled;
    target_[group.to] = group.settled;
  }
}

void ClassPlan::assign(const Choices& choices) {
  for (ClassId id = 0; id < choices.signature_of.size(); ++id) {
    if (choices.signature_of[id] != kNoSignature) target_[choices.signature_of[id]] = id;
  }
  choose_leaders(choices);
  const auto dying_columns = [&](ClassId id) {
    const auto found = dying_columns_of_.find(id);
    return found == dying_columns_of_.end() ? id : found->second;
  };
  for (auto& group : groups_) {
    group.settled = target_.at(group.to);
    group.early = group.settled;
    if (group.from == group.settled) continue;
    if (choices.dying_alike(group.from, dying_columns(group.settled))) continue;
    group.early = choices.take_class();
    fresh_.push_back({group.early, group.to, group.from});
    merged_later_[group.early] = group.settled;
  }
}

}  // namespace postern
