// SPDX-License-Identifier: Apache-2.0
// Hosts and intervals: the moves before the switch, and what follows when the packets that met it are gone.
#include <algorithm>

#include "engine/compile/update.h"

namespace postern {

// Hosts that are stored go before the intervals, so that one that comes into the table still has its
// interval's old class until it has its own.
void Update::move_hosts() {
  const std::uint64_t secret = input_.settings.hash_secret;
  const auto& groups = plan_->groups();
  after_.hosts.clear();
  after_.hosts.reserve(plan_->hosts().size());
  if (plan_->hosts().size() > before_.hosts.size()) {
    out_.expect(2 * (plan_->hosts().size() - before_.hosts.size()));
  }
  for (const auto& host : plan_->hosts()) {
    const ClassGroup& group = groups[host.group];
    StoredHost stored = host.stored;
    if (!host.stored_before) {
      stored.place = after_.hosts_table.insert(stored.address, group.early, secret, out_);
    } else if (!host.stored_after && group.early == groups[host.around].early) {
      // Its interval will answer alike. So does class 0, for records that do not look into intervals
      // yet: their rows know no block, or are dying and answer alike for both.
      early_erased_.push_back(stored);
      continue;
    } else if (stored.class_id != group.early) {
      HostTable::change(stored, group.early, secret, out_);
    }
    stored.class_id = group.settled;
    if (!host.stored_after) {
      late_erased_.push_back(stored);
      continue;
    }
    if (group.early != group.settled) late_hosts_.push_back(stored);
    after_.hosts.push_back(stored);
  }
}

void Update::move_intervals() {
  std::vector<ClassInterval> early;
  after_.intervals.clear();
  for (const auto& interval : plan_->intervals()) {
    const ClassGroup& group = plan_->groups()[interval.group];
    early.push_back({interval.first, group.early});
    after_.intervals.push_back({interval.first, group.settled});
  }
  normalise(early);
  normalise(after_.intervals);
  IntervalOutcome outcome = write_intervals({before_.intervals, early, plan_->merged_later()}, input_.tables,
                                            after_.segments, out_);
  late_words_ = std::move(outcome.late_words);
  longest_run_ = outcome.longest_run;
}

void Update::erase_hosts_early() {
  for (const auto& host : early_erased_) after_.hosts_table.erase(host, input_.settings.hash_secret, out_);
}

// A packet that read its record before the switch and the epoch after it has judged its connection by the
// old policy, and written down the new epoch. Only where connections are judged again does it matter.
bool Update::needs_second_epoch() const {
  return narrowed_ && before_.node &&
         std::any_of(after_.interfaces.begin(), after_.interfaces.end(), [](const auto& entry) {
           const Interface& interface = entry.second;
           return interface.judged && (interface.record.flags & PN_POD_CT_FIRST) != 0 &&
                  (interface.record.flags & PN_POD_KEEP) == 0;
         });
}

// After the switch. Every row that is read now answers alike for a class and the one it is merged into.
void Update::finish_late() {
  const bool second_epoch = needs_second_epoch();
  if (!second_epoch && late_words_.empty() && late_hosts_.empty() && late_erased_.empty()) return;
  // A packet that read its record before the switch must not meet the settled classes.
  out_.pause();
  if (second_epoch) write_epoch();
  const std::uint64_t secret = input_.settings.hash_secret;
  for (const auto& word : late_words_) store(word, out_);
  for (const auto& host : late_hosts_) HostTable::change(host, host.class_id, secret, out_);
  for (const auto& host : late_erased_) after_.hosts_table.erase(host, secret, out_);
}

}  // namespace postern
