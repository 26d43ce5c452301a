// SPDX-License-Identifier: Apache-2.0
// Which signature every address has: hosts that differ from the interval they lie in, and the
// intervals that blocks cut the address space of both families into.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/compile/address_space.h"
#include "engine/compile/signatures.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

struct HostSignature {
  AddressNumber address = 0;
  SignatureId signature = kEmptySignature;
};

// From `first` up to the next interval's first address.
struct IntervalSignature {
  AddressNumber first = 0;
  SignatureId signature = kEmptySignature;
};

struct AddressSignatures {
  std::vector<HostSignature> hosts;  // sorted; only those that differ from their interval
  // Sorted, covers every address, starts at 0, neighbours differ.
  std::vector<IntervalSignature> intervals{{0, kEmptySignature}};
  bool has_blocks = false;
};

// A term of the policy that some rule names, with the bundle it belongs to.
struct BundledTerm {
  BundleId bundle = 0;
  const Term* term = nullptr;
};

// `terms` by ascending bundle.
AddressSignatures sign_addresses(const std::vector<BundledTerm>& terms,
                                 const std::vector<IpAddress>& own_node, SignaturePool& signatures);

// Gives every ClusterIP its signature, above whatever else its address is in (R7). Returns those
// signatures, in the order of `services`.
std::vector<SignatureId> sign_services(const std::vector<ResolvedService>& services,
                                       SignaturePool& signatures, AddressSignatures& addresses);

}  // namespace postern
