// SPDX-License-Identifier: Apache-2.0
// One update of the compiler: from what the tables hold to what a policy asks for, as ordered writes.
//
//   1 slots of interfaces that are gone are emptied
//   2 bodies, directories and pages aside
//   3 rows too short for the classes to come are copied to longer ones and switched (changes no verdict)
//   4 columns of fresh classes; columns of redefined classes, one word each
//   5 hosts and intervals move to the classes of their new signatures, one word each
//   6 new rows and records aside, then one slot word per interface: the switch
//   7 the epoch, if anything may have narrowed
//   8 when the packets that met the switch are gone: the epoch again, since one of them may have written
//     the new epoch into a connection that it judged by the old policy; and classes that were only
//     needed until the switch are merged into the ones they equal
//
// Rows that nobody reads after the switch answer as before until then (see class_plan.h), and nothing
// that is freed is written again before the next update. So each packet finds the old verdict or
// the new one after any number of these writes.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "engine/compile/class_plan.h"
#include "engine/compile/compiled.h"
#include "engine/compile/step_source.h"
#include "engine/compile/table_compiler.h"

namespace postern {

// What outlives an update even if it is refused: numbers of terms, bundles, signatures and contents.
struct CompilerPools {
  TermPool terms;
  BundlePool bundles;
  SignaturePool signatures;
  ContentPool contents;
  DifferingPorts differing;
};

class Update {
 public:
  struct Input {
    const ResolvedPolicy& policy;
    const CompileSettings& settings;
    const PolicyTables& tables;  // as they stand
    const TableStart& start;     // before the first update
    bool spare_columns = true;   // when rows grow: room for classes to come
  };

  Update(const Input& input, const Compiled& before, CompilerPools& pools);

  Result<TableDelta> run();
  // After run() succeeded: the state that belongs to the delta.
  Compiled& after() { return after_; }
  [[nodiscard]] const std::vector<TermId>& used_terms() const { return used_terms_; }
  [[nodiscard]] const std::vector<BundleId>& used_bundles() const { return used_bundles_; }
  [[nodiscard]] std::vector<BackendsDiffer> backends_differ() const;

 private:
  using Steps = std::vector<std::uint32_t>;
  // What an endpoint of the policy shall have.
  struct Wanted {
    const EndpointPolicy* endpoint = nullptr;
    std::array<std::shared_ptr<const Content>, 2> contents;
  };

  // Reading the policy (update_policy.cpp).
  Result<void> read_policy();
  std::vector<TermId> number_terms();
  void read_services();
  Result<void> read_endpoints(const std::vector<TermId>& term_ids);
  Result<void> write_node();
  void write_epoch();

  // Rows and classes (update_rows.cpp).
  void sort_rows();
  void refresh_rows();
  void assign_classes();
  void settle_classes();
  void write_columns();
  void write_step(const Row& row, ClassId id, std::uint32_t step);
  void place_row(Row& row);
  void write_new_rows();
  void note_narrowing();
  void free_rows_and_steps();
  [[nodiscard]] std::uint32_t old_step(const Row& row, ClassId id) const { return (*row.steps)[id]; }

  // Peers (update_peers.cpp).
  void move_hosts();
  void move_intervals();
  void erase_hosts_early();
  [[nodiscard]] bool needs_second_epoch() const;
  void finish_late();

  // Interfaces (update_interfaces.cpp).
  void remove_interfaces();
  void write_interfaces();
  void write_interface(std::uint32_t ifindex, const Wanted& wanted);
  void replace_record(std::uint32_t ifindex, Interface& interface);
  void store_slot(std::uint32_t ifindex, const Interface& interface);
  [[nodiscard]] static bool asks_connections_first(const Wanted& wanted);
  [[nodiscard]] pn_pod record_of(const Wanted& wanted) const;
  void switch_to_longer_rows();

  Result<void> check_space() const;

  const Input& input_;
  const Compiled& before_;
  CompilerPools& pools_;
  Compiled after_;

  std::vector<TermId> used_terms_;
  std::vector<BundleId> used_bundles_;
  BundleOfTerm bundle_of_;
  AddressSignatures addresses_;
  std::vector<SignatureId> cluster_ips_;    // by place in policy.services; empty: nobody asks
  std::map<std::uint32_t, Wanted> wanted_;  // by ifindex
  std::uint64_t far_slots_;
  std::uint32_t highest_rule_ = 0;

  std::map<ContentId, std::shared_ptr<const Content>> wanted_contents_;
  std::map<ContentId, Row> old_rows_;  // rows that packets read until the switch, where they stand now
  std::set<ContentId> kept_rows_;      // those of old_rows_ that packets read after the switch too
  std::set<ContentId> left_rows_;      // those that some interface which stays switches away from
  std::unique_ptr<ClassPlan> plan_;
  bool new_rows_ = false;
  bool narrowed_ = false;

  DeltaWriter gone_;   // words of the node, and 1
  DeltaWriter aside_;  // 2
  DeltaWriter out_;    // everything else
  StepSource steps_;
  std::vector<ClassWord> late_words_;
  std::size_t longest_run_ = 0;
  std::vector<StoredHost> late_hosts_;  // to be written again with their settled class
  std::vector<StoredHost> early_erased_;
  std::vector<StoredHost> late_erased_;
};

}  // namespace postern
