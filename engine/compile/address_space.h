// SPDX-License-Identifier: Apache-2.0
// Addresses of both families as numbers of one space (engine/abi/address.h), so that they sort and
// can be counted with. IPv4 lies at ::ffff:0:0/96, in the midst of the first page of IPv6.
#pragma once

#include <cstdint>

#include "engine/abi/address.h"
#include "engine/base/ip.h"

namespace postern {

__extension__ typedef unsigned __int128 AddressNumber;

inline constexpr AddressNumber kFirstV4 = PN_V4_PREFIX;
inline constexpr AddressNumber kLastV4 = PN_V4_PREFIX | 0xffffffffu;
inline constexpr AddressNumber kLastAddress = ~AddressNumber{0};

constexpr bool is_v4(AddressNumber address) { return kFirstV4 <= address && address <= kLastV4; }

inline AddressNumber number_of(const IpAddress& address) {
  if (address.is_v4()) return kFirstV4 | address.v4_host_order();
  AddressNumber number = 0;
  for (const std::uint8_t byte : address.bytes()) number = number << 8 | byte;
  return number;
}

constexpr pn_address to_abi(AddressNumber address) {
  return {static_cast<pn_u64>(address >> 64), static_cast<pn_u64>(address)};
}

constexpr AddressNumber from_abi(pn_address address) {
  return AddressNumber{address.high} << 64 | address.low;
}

}  // namespace postern
