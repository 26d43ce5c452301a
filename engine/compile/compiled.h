// SPDX-License-Identifier: Apache-2.0
// What the compiler knows about the tables it has written. A plain value: an update works on a copy,
// which replaces the original only when every write has been planned and fits (R26).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/compile/content.h"
#include "engine/compile/host_table.h"
#include "engine/compile/interval_table.h"
#include "engine/compile/space.h"
#include "engine/compile/step_tables.h"

namespace postern {

// The steps of a content by class. Every row has room for the same number of classes.
struct Row {
  std::shared_ptr<const Content> content;
  std::uint32_t chunk = 0;  // first chunk in `rows`
  std::uint32_t chunks = 0;
  std::shared_ptr<const std::vector<std::uint32_t>> steps;
};

// An interface with a slot.
struct Interface {
  pn_pod record{};
  bool judged = false;
  std::uint32_t record_index = 0;  // in `pods`, if judged
  bool far = false;                // its slot is in slots_far
  std::array<ContentId, 2> contents{kNoContent, kNoContent};
};

struct Compiled {
  explicit Compiled(const TableSizes& sizes)
      : hosts_table(sizes.of(TableId::hosts), sizes.of(TableId::hosts_far)),
        steps(sizes),
        row_chunks(sizes.of(TableId::rows)),
        segments(sizes.of(TableId::seg)),
        // Record 0 stays empty, so that a slot word without a record leads to a closed one.
        records(sizes.of(TableId::pods), 1) {}

  // Peers.
  std::vector<StoredHost> hosts;  // sorted by address
  std::vector<ClassInterval> intervals{{0, kNoTermClass}};
  std::vector<SignatureId> signature_of_class{kEmptySignature};  // kNoSignature: not in use
  bool blocks = false;  // every record looks into the intervals; stays on once it was needed
  // Decisions.
  std::map<ContentId, Row> rows;
  // Endpoints.
  std::map<std::uint32_t, Interface> interfaces;       // by ifindex
  std::map<std::uint32_t, std::uint32_t> slot_owners;  // slot index -> ifindex
  // Space.
  HostTable hosts_table;
  StepTables steps;
  Space row_chunks;
  Space segments;
  Space records;
  Space classes{PN_ROW_CHUNK, 1};  // its size is the number of steps of every row
  std::optional<pn_node> node;     // nothing written yet: none
};

}  // namespace postern
