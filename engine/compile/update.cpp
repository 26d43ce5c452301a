// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/update.h"

#include <string>
#include <utility>

namespace postern {

Update::Update(const Input& input, const Compiled& before, CompilerPools& pools)
    : input_(input),
      before_(before),
      pools_(pools),
      after_(before),
      far_slots_(input.tables.hash(TableId::slots_far).size()),
      steps_({pools.signatures, bundle_of_}, after_.steps, aside_, pools.differing) {
  after_.steps.begin_update();
  after_.row_chunks.begin_update();
  after_.segments.begin_update();
  after_.records.begin_update();
  after_.classes.begin_update();
}

Result<TableDelta> Update::run() {
  if (auto read = read_policy(); !read) return fail_as(read);
  if (auto written = write_node(); !written) return fail_as(written);

  remove_interfaces();
  sort_rows();
  plan_ = std::make_unique<ClassPlan>(before_.hosts, before_.intervals, addresses_);
  refresh_rows();
  assign_classes();
  settle_classes();
  note_narrowing();

  write_columns();
  move_hosts();
  move_intervals();
  erase_hosts_early();
  write_new_rows();
  write_interfaces();
  if (narrowed_) write_epoch();
  finish_late();
  if (auto space = check_space(); !space) return fail_as(space);
  free_rows_and_steps();

  gone_.expect(aside_.size() + out_.size());
  gone_.append(std::move(aside_));
  gone_.append(std::move(out_));
  TableDelta delta = gone_.take();
  delta.reuses_freed = after_.row_chunks.reused() || after_.segments.reused() || after_.records.reused() ||
                       after_.classes.reused() || after_.steps.bodies().space().reused() ||
                       after_.steps.directories().space().reused() || after_.steps.pages().space().reused();
  return delta;
}

namespace {

std::string full(TableId table, std::uint64_t has, std::uint64_t needed, const char* unit) {
  return "table " + std::string(name_of(table)) + " is full: it has " + std::to_string(has) + " " + unit +
         ", " + std::to_string(needed) + " are needed";
}

}  // namespace

Result<void> Update::check_space() const {
  const auto& sizes = input_.tables.sizes();
  const auto check = [&](TableId table, const Space& space, const char* unit) -> Result<void> {
    if (!space.overflowed()) return {};
    return fail(ErrorCode::table_full, full(table, space.size(), space.needed(), unit));
  };
  for (auto checked :
       {check(TableId::rows, after_.row_chunks, "chunks of 16 classes"),
        check(TableId::seg, after_.segments, "segments"), check(TableId::pods, after_.records, "records"),
        check(TableId::bodies, after_.steps.bodies().space(), "bodies"),
        check(TableId::portdirs, after_.steps.directories().space(), "directories"),
        check(TableId::portpages, after_.steps.pages().space(), "pages")}) {
    if (!checked) return checked;
  }
  if (longest_run_ > PN_SEG_RUN_MAX) {
    return fail(ErrorCode::table_full, "a page of table idx has room for a run of " +
                                           std::to_string(PN_SEG_RUN_MAX) + " segments, " +
                                           std::to_string(longest_run_) + " are needed");
  }
  if (after_.hosts_table.overflowed()) {
    return fail(ErrorCode::table_full,
                full(TableId::hosts_far, sizes.of(TableId::hosts_far), after_.hosts_table.far_needed(),
                     "addresses beyond full buckets of hosts"));
  }
  if (far_slots_ > sizes.of(TableId::slots_far)) {
    return fail(ErrorCode::table_full, full(TableId::slots_far, sizes.of(TableId::slots_far), far_slots_,
                                            "interfaces whose slot is taken"));
  }
  return {};
}

}  // namespace postern
