// SPDX-License-Identifier: Apache-2.0
// What a backend that stopped within a delta has still to write, told from the bytes that it holds.
//
// A delta is safe for packets in its own order alone. So after a failure it is taken up where it broke
// off, instead of writing the bytes that differ in whatever order: a slot word before its record would
// leave a pod without any policy for that moment.
#pragma once

#include "engine/compile/policy_tables.h"

namespace postern {

// `held`: what stood before the delta, and some first part of its writes. Returns the rest, which starts
// by waiting for packets under way. Law: held with the rest applied is what the whole delta leads to.
TableDelta unfinished(const TableDelta& delta, const PolicyTables& held);

}  // namespace postern
