// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/table_compiler.h"

#include <set>
#include <utility>

#include "engine/compile/update.h"

namespace postern {

struct TableCompiler::State {
  explicit State(const TableSizes& sizes) : tables(sizes), compiled(sizes) {}

  PolicyTables tables;
  Compiled compiled;
  CompilerPools pools;

  void keep_only_used(const Update& update);
};

namespace {

// Signatures that no class has are dropped when they outnumber the others.
void compact_signatures(Compiled& compiled, SignaturePool& pool) {
  constexpr std::size_t kSlack = 4096;
  std::size_t in_use = 0;
  for (const SignatureId id : compiled.signature_of_class) in_use += id == kNoSignature ? 0 : 1;
  if (pool.size() <= 2 * in_use + kSlack) return;
  SignaturePool compact;
  for (SignatureId& id : compiled.signature_of_class) {
    if (id != kNoSignature) id = compact.id_of(pool.bundles_of(id));
  }
  pool = std::move(compact);
}

}  // namespace

void TableCompiler::State::keep_only_used(const Update& update) {
  std::set<ContentId> contents;
  for (const auto& [id, row] : compiled.rows) contents.insert(id);
  pools.contents.keep_only(contents);
  pools.terms.keep_only(update.used_terms());
  pools.bundles.keep_only(update.used_bundles());
  compact_signatures(compiled, pools.signatures);
}

TableCompiler::TableCompiler(const TableSizes& sizes) : state_(std::make_unique<State>(sizes)) {}
TableCompiler::~TableCompiler() = default;
TableCompiler::TableCompiler(TableCompiler&&) noexcept = default;
TableCompiler& TableCompiler::operator=(TableCompiler&&) noexcept = default;

const PolicyTables& TableCompiler::tables() const { return state_->tables; }

Result<TableDelta> TableCompiler::update(const ResolvedPolicy& policy, const CompileSettings& settings) {
  // Room for classes to come is a luxury: without it more policies fit.
  Result<TableDelta> delta = fail(ErrorCode::internal, "not compiled");
  for (const bool spare_columns : {true, false}) {
    const Update::Input input{policy, settings, state_->tables, spare_columns};
    Update update(input, state_->compiled, state_->pools);
    delta = update.run();
    if (!delta) {
      if (delta.error().code == ErrorCode::table_full) continue;
      return delta;
    }
    if (auto applied = state_->tables.apply(*delta); !applied) return fail_as(applied);
    state_->compiled = std::move(update.after());
    state_->keep_only_used(update);
    return delta;
  }
  return delta;
}

}  // namespace postern
