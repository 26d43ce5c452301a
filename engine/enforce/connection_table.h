// SPDX-License-Identifier: Apache-2.0
// The port of clean-up and of seeding: the table of tracked connections read piece by piece, and single
// entries changed, or put in, where what stands there is still what was read. Packets use the table meanwhile; whoever judges what it has read
// judges the past, so every change names the entry that it was judged by, and one that was used since
// stays as it is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/abi/conntrack.h"
#include "engine/base/result.h"

namespace postern {

// An entry and where it is.
struct PlacedConnection {
  std::uint32_t bucket = 0;
  std::uint32_t way = 0;
  pn_ct_key key{};
  pn_ct_value value{};
};

enum class ConnectionChangeKind : std::uint8_t {
  note,    // PN_CT_NODE_HAD is set
  retire,  // no packet finds it alive from now on; one under way, which had found it, keeps it alive
  free,    // its way is empty; for entries that no packet can have found alive lately
};

struct ConnectionChange {
  PlacedConnection read;
  ConnectionChangeKind kind = ConnectionChangeKind::note;
  bool made = false;  // result: false, the entry was used, replaced or gone
};

// An entry to put in.
struct ConnectionPut {
  PlacedConnection read;  // what is in its place; a state of 0: nothing
  std::uint16_t fingerprint = 0;
  pn_ct_key key{};
  pn_ct_value value{};
  bool made = false;  // result: false, the place is not as it was read, or the bucket has the key elsewhere
};

// Not thread-safe; packets are no concern of the caller's.
class ConnectionTable {
 public:
  virtual ~ConnectionTable() = default;

  [[nodiscard]] virtual std::uint32_t buckets() const = 0;
  // Makes ready what the first change() would, so that it is no slower than the others. Errors: permission, io.
  virtual Result<void> prepare() { return {}; }
  // The tick that a packet of this moment would read. Errors: permission, io.
  virtual Result<std::uint32_t> now() = 0;
  // Every entry of `count` buckets from `first` on, expired ones too, each bucket at one moment; appended
  // in order. Errors: io.
  virtual Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) = 0;
  // Makes each change whose entry is, at that moment, exactly what was read. Errors: io.
  virtual Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) = 0;
  // Puts each entry where it says, if that place is at that moment exactly what was read. Errors: io.
  virtual Result<void> put(std::span<ConnectionPut> /*puts*/) { return {}; }
};

}  // namespace postern
