// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/table_compiler.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/compile/update.h"

namespace postern {

struct TableCompiler::State {
  State(const TableSizes& sizes, const TableStart& where) : start(where), tables(sizes), compiled(sizes) {}

  TableStart start;
  PolicyTables tables;
  Compiled compiled;
  CompilerPools pools;
  std::vector<BackendsDiffer> backends_differ;

  void keep_only_used(const Update& update);
  void compact_signatures();
};

namespace {

// The number of a signature in another pool.
SignatureId copied(const SignaturePool& from, SignatureId id, SignaturePool& to) {
  const SignatureId plain = to.id_of(from.bundles_of(id));
  const auto* service = from.service_of(id);
  if (service == nullptr) return plain;
  ServiceSignature copy = *service;
  for (auto& port : copy) {
    for (auto& target : port.targets) target.backend = to.id_of(from.bundles_of(target.backend));
    std::sort(port.targets.begin(), port.targets.end());
  }
  return to.id_of(copy, plain);
}

}  // namespace

// Signatures that no class has are dropped when they outnumber the others.
void TableCompiler::State::compact_signatures() {
  constexpr std::size_t kSlack = 4096;
  std::size_t in_use = 0;
  for (const SignatureId id : compiled.signature_of_class) in_use += id == kNoSignature ? 0 : 1;
  if (pools.signatures.size() <= 2 * in_use + kSlack) return;
  SignaturePool compact;
  std::map<SignatureId, SignatureId> renumbered;
  for (SignatureId& id : compiled.signature_of_class) {
    if (id == kNoSignature) continue;
    const SignatureId before = std::exchange(id, copied(pools.signatures, id, compact));
    renumbered.emplace(before, id);
  }
  DifferingPorts differing;
  for (auto& [question, ports] : pools.differing) {
    differing.emplace(ServiceQuestion{question.rules, renumbered.at(question.signature), question.self},
                      std::move(ports));
  }
  pools.differing = std::move(differing);
  pools.signatures = std::move(compact);
}

void TableCompiler::State::keep_only_used(const Update& update) {
  std::set<ContentId> contents;
  std::set<ContentId> rules;
  for (const auto& [id, row] : compiled.rows) {
    contents.insert(id);
    const Content& of_row = rules_of(*row.content);
    rules.insert(of_row.id);
    if (of_row.enforced) rules.insert(of_row.enforced->id);
  }
  const std::set<SignatureId> signatures(compiled.signature_of_class.begin(),
                                         compiled.signature_of_class.end());
  std::erase_if(pools.differing, [&](const auto& entry) {
    return !rules.contains(entry.first.rules) || !signatures.contains(entry.first.signature);
  });
  pools.contents.keep_only(contents);
  pools.terms.keep_only(update.used_terms());
  pools.bundles.keep_only(update.used_bundles());
  compact_signatures();
}

TableCompiler::TableCompiler(const TableSizes& sizes, const TableStart& start)
    : state_(std::make_unique<State>(sizes, start)) {}
TableCompiler::~TableCompiler() = default;
TableCompiler::TableCompiler(TableCompiler&&) noexcept = default;
TableCompiler& TableCompiler::operator=(TableCompiler&&) noexcept = default;

const PolicyTables& TableCompiler::tables() const { return state_->tables; }

std::vector<TableUse> TableCompiler::use() const {
  const Compiled& compiled = state_->compiled;
  const TableSizes& sizes = state_->tables.sizes();
  const auto of_space = [](TableId table, const Space& space) {
    return TableUse{table, space.size() - space.available(), space.size()};
  };
  const std::uint64_t far_hosts = compiled.hosts_table.far_needed();
  return {of_space(TableId::pods, compiled.records),
          {TableId::hosts, compiled.hosts.size() - far_hosts, std::uint64_t{sizes.of(TableId::hosts)} * PN_HOSTS_WAYS},
          {TableId::hosts_far, far_hosts, sizes.of(TableId::hosts_far)},
          {TableId::slots_far, state_->tables.hash(TableId::slots_far).size(), sizes.of(TableId::slots_far)},
          of_space(TableId::seg, compiled.segments),
          of_space(TableId::rows, compiled.row_chunks),
          of_space(TableId::bodies, compiled.steps.bodies().space()),
          of_space(TableId::portdirs, compiled.steps.directories().space()),
          of_space(TableId::portpages, compiled.steps.pages().space())};
}

const std::vector<BackendsDiffer>& TableCompiler::backends_differ() const { return state_->backends_differ; }

Result<TableDelta> TableCompiler::update(const ResolvedPolicy& policy, const CompileSettings& settings) {
  // Room for classes to come is a luxury: without it more policies fit.
  Result<TableDelta> delta = fail(ErrorCode::internal, "not compiled");
  for (const bool spare_columns : {true, false}) {
    const Update::Input input{policy, settings, state_->tables, state_->start, spare_columns};
    Update update(input, state_->compiled, state_->pools);
    delta = update.run();
    if (!delta) {
      if (delta.error().code == ErrorCode::table_full) continue;
      return delta;
    }
    if (auto applied = state_->tables.apply(*delta); !applied) return fail_as(applied);
    state_->compiled = std::move(update.after());
    state_->backends_differ = update.backends_differ();
    state_->keep_only_used(update);
    return delta;
  }
  return delta;
}

}  // namespace postern
