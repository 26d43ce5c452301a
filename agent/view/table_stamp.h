// SPDX-License-Identifier: Apache-2.0
// Which tables a view was written for. A view outlives its agent, and the tables may be another agent's by
// then; so the agent puts a stamp of the tables that it has in force into its view, and whoever reads the
// view beside the kernel's tables compares it with theirs. The stamp is of what names hang on: the node's
// record, the slots and the pods; the words that a monitor writes are no part of it.
#pragma once

#include <cstdint>

#include "engine/compile/policy_tables.h"

namespace postern::agent {

struct TableStamp {
  std::uint64_t lineage = 0;  // the same for all agents that took their tables over one from the other
  std::uint32_t epoch = 0;    // of a lineage; rises with each agent, and with each policy that may be narrower
  std::uint64_t digest = 0;   // of node, slots and pods
  friend bool operator==(const TableStamp&, const TableStamp&) = default;
};

TableStamp stamp_of(const PolicyTables& tables);

// How a view stands to the tables.
enum class ViewFit : std::uint8_t {
  current,  // it is of these
  older,    // they have changed since
  newer,    // it is of tables that came after them
  other,    // it is of tables that have nothing to do with them
  changed,  // of their epoch, but pods or interfaces are not those that it was written for
};
ViewFit fit_of(const TableStamp& view, const TableStamp& tables);

}  // namespace postern::agent
