// SPDX-License-Identifier: Apache-2.0
// Rows: which of them live on, the columns of classes that come into use, and new ones aside.
#include <algorithm>
#include <cstring>

#include "engine/compile/update.h"

namespace postern {

namespace {

std::uint32_t chunks_for(std::uint32_t classes) { return (classes + PN_ROW_CHUNK - 1) / PN_ROW_CHUNK; }

// Whether a packet that `before` allowed may be denied by `after`. Steps with ports are not looked
// into: an epoch too many only judges some connections again.
bool may_narrow(std::uint32_t before, std::uint32_t after) {
  if (before == after || pn_step_allows(after)) return false;
  return !pn_step_is_final(before) || pn_step_allows(before);
}

}  // namespace

// What packets read today, by the interfaces that stay: those that are gone read nothing any more.
void Update::sort_rows() {
  for (const auto& [ifindex, wanted] : wanted_) {
    for (const auto& content : wanted.contents) {
      if (content) wanted_contents_.emplace(content->id, content);
    }
    const auto found = before_.interfaces.find(ifindex);
    if (found == before_.interfaces.end()) continue;
    for (const Direction direction : kDirections) {
      const ContentId old_content = found->second.contents[index_of(direction)];
      if (old_content == kNoContent) continue;
      old_rows_.emplace(old_content, before_.rows.at(old_content));
      const auto& content = wanted.contents[index_of(direction)];
      if (!content || content->id != old_content) left_rows_.insert(old_content);
    }
  }
  for (const auto& [id, row] : old_rows_) {
    if (wanted_contents_.contains(id)) kept_rows_.insert(id);
  }
}

// A row that some interfaces stay with and others leave would have to keep its answers for the ones
// and change them for the others. If that makes a difference, those that stay get a new row too.
void Update::refresh_rows() {
  for (const ContentId id : left_rows_) {
    if (!kept_rows_.contains(id)) continue;
    const Row& row = old_rows_.at(id);
    const bool answers_change =
        std::any_of(plan_->groups().begin(), plan_->groups().end(), [&](const ClassGroup& g) {
          return before_.signature_of_class[g.from] != g.to &&
                 old_step(row, g.from) != steps_.step(*row.content, g.to);
        });
    if (answers_change) kept_rows_.erase(id);
  }
}

void Update::assign_classes() {
  const auto dying_alike = [&](ClassId a, ClassId b) {
    return std::all_of(old_rows_.begin(), old_rows_.end(), [&](const auto& entry) {
      return kept_rows_.contains(entry.first) || old_step(entry.second, a) == old_step(entry.second, b);
    });
  };
  const auto take_class = [&]() -> ClassId {
    Space& classes = after_.classes;
    if (classes.available() == 0) {
      const std::uint32_t spare =
          input_.spare_columns ? std::max(2u * PN_ROW_CHUNK, classes.size() / 4) : PN_ROW_CHUNK;
      classes.grow(chunks_for(classes.size() + spare) * PN_ROW_CHUNK);
    }
    return classes.take(1);
  };
  plan_->assign({before_.signature_of_class, dying_alike, take_class});
}

void Update::settle_classes() {
  auto& signature_of = after_.signature_of_class;
  signature_of.assign(after_.classes.size(), kNoSignature);
  signature_of[kNoTermClass] = kEmptySignature;
  for (const auto& group : plan_->groups()) signature_of[group.settled] = group.to;
  for (ClassId id = 1; id < before_.signature_of_class.size(); ++id) {
    if (before_.signature_of_class[id] != kNoSignature && signature_of[id] == kNoSignature) {
      after_.classes.give_back(id, 1);
    }
  }
  for (const auto& [id, settled] : plan_->merged_later()) after_.classes.give_back(id, 1);
}

// Interfaces that change their rules are looked at where their records are written.
void Update::note_narrowing() {
  const auto narrows = [&](const Row& row, const ClassGroup& group) {
    return before_.signature_of_class[group.from] != group.to &&
           may_narrow(old_step(row, group.from), steps_.step(*row.content, group.to));
  };
  for (const auto& entry : old_rows_) {
    if (narrowed_ || !wanted_contents_.contains(entry.first)) continue;
    narrowed_ = std::any_of(plan_->groups().begin(), plan_->groups().end(),
                            [&](const ClassGroup& group) { return narrows(entry.second, group); });
  }
}

// Columns of fresh classes, which no address has yet; then those of redefined ones, each of which
// changes the answer for its members by one word.
void Update::write_columns() {
  const bool longer = after_.classes.size() > before_.classes.size() && !old_rows_.empty();
  for (auto& [id, row] : old_rows_) {
    if (!longer && plan_->fresh().empty()) break;
    auto columns = std::make_shared<Steps>(*row.steps);
    columns->resize(after_.classes.size());
    for (const auto& fresh : plan_->fresh()) {
      const std::uint32_t step = kept_rows_.contains(id) ? steps_.step(*row.content, fresh.signature)
                                                         : old_step(row, fresh.copy_from);
      (*columns)[fresh.id] = step;
      if (!longer) write_step(row, fresh.id, step);
    }
    row.steps = std::move(columns);
    if (longer) place_row(row);
  }
  if (longer) switch_to_longer_rows();
  for (const ContentId id : kept_rows_) {
    Row& row = old_rows_.at(id);
    auto columns = plan_->redefined().empty() ? nullptr : std::make_shared<Steps>(*row.steps);
    for (const auto& redefined : plan_->redefined()) {
      const std::uint32_t step = steps_.step(*row.content, redefined.signature);
      if ((*columns)[redefined.id] == step) continue;
      (*columns)[redefined.id] = step;
      write_step(row, redefined.id, step);
    }
    if (columns) row.steps = std::move(columns);
  }
}

void Update::write_step(const Row& row, ClassId id, std::uint32_t step) {
  out_.store(TableId::rows, row.chunk + id / PN_ROW_CHUNK, step, (id % PN_ROW_CHUNK) * sizeof(step));
}

// Gives a row a place that no packet reads and writes it there.
void Update::place_row(Row& row) {
  row.chunks = chunks_for(static_cast<std::uint32_t>(row.steps->size()));
  row.chunk = after_.row_chunks.take(row.chunks);
  if (after_.row_chunks.overflowed()) return;  // the update is refused
  const auto standing = input_.tables.array(TableId::rows);
  for (std::uint32_t i = 0; i < row.chunks; ++i) {
    pn_row_chunk chunk{};
    const std::size_t first = std::size_t{i} * PN_ROW_CHUNK;
    const std::size_t count = std::min<std::size_t>(PN_ROW_CHUNK, row.steps->size() - first);
    std::copy_n(row.steps->begin() + static_cast<std::ptrdiff_t>(first), count, chunk.steps);
    const std::size_t index = row.chunk + i;
    if (std::memcmp(standing.data() + index * sizeof(chunk), &chunk, sizeof(chunk)) == 0) continue;
    out_.store(TableId::rows, static_cast<std::uint32_t>(index), chunk);
  }
}

void Update::write_new_rows() {
  after_.rows.clear();
  for (const auto& [id, content] : wanted_contents_) {
    if (kept_rows_.contains(id)) {
      after_.rows.emplace(id, old_rows_.at(id));
      continue;
    }
    auto columns = std::make_shared<Steps>(after_.classes.size());
    for (ClassId class_id = 0; class_id < after_.signature_of_class.size(); ++class_id) {
      const SignatureId signature = after_.signature_of_class[class_id];
      if (signature != kNoSignature) (*columns)[class_id] = steps_.step(*content, signature);
    }
    for (const auto& fresh : plan_->fresh()) (*columns)[fresh.id] = steps_.step(*content, fresh.signature);
    Row row;
    row.content = content;
    row.steps = std::move(columns);
    place_row(row);
    new_rows_ = true;
    after_.rows.emplace(id, std::move(row));
  }
}

void Update::free_rows_and_steps() {
  std::set<std::uint32_t> living;
  for (const auto& [id, row] : after_.rows) living.insert(row.chunk);
  std::map<std::uint32_t, std::uint32_t> freed;
  const auto note_freed = [&](const std::map<ContentId, Row>& rows) {
    for (const auto& [id, row] : rows) {
      if (!living.contains(row.chunk)) freed.emplace(row.chunk, row.chunks);
    }
  };
  note_freed(before_.rows);
  note_freed(old_rows_);
  for (const auto& [chunk, chunks] : freed) after_.row_chunks.give_back(chunk, chunks);

  if (freed.empty() && !new_rows_ && plan_->fresh().empty() && plan_->redefined().empty()) return;
  std::vector<bool> used_bodies(after_.steps.bodies().space().size());
  for (const auto& [id, row] : after_.rows) {
    for (ClassId class_id = 0; class_id < after_.signature_of_class.size(); ++class_id) {
      if (after_.signature_of_class[class_id] == kNoSignature) continue;
      const std::uint32_t step = (*row.steps)[class_id];
      if (!pn_step_is_final(step)) used_bodies[pn_step_index(step)] = true;
    }
  }
  after_.steps.keep_only(used_bodies);
}

}  // namespace postern
