// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/address_book.h"

#include <algorithm>

namespace postern::manifest {

namespace {

// The first of a range is its network; the first node is commonly a bridge.
constexpr std::uint32_t first_host(AddressUse use) { return use == AddressUse::node ? 2 : 1; }

// How many addresses of a block are counted through.
std::uint32_t size_of(const Cidr& block) {
  constexpr int kMostBits = 24;
  return 1u << std::min(block.network().bits() - block.prefix_length(), kMostBits);
}

// `block` has zeros where `offset` has bits.
IpAddress host_of(const Cidr& block, std::uint32_t offset) {
  if (block.network().is_v4()) return IpAddress::v4(block.network().v4_host_order() + offset);
  auto bytes = block.network().bytes();
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[15 - i] = static_cast<std::uint8_t>(bytes[15 - i] | offset >> (8 * i));
  }
  return IpAddress::v6(bytes);
}

}  // namespace

const char* AddressBook::range(AddressUse use, IpFamily family) {
  const bool v4 = family == IpFamily::v4;
  switch (use) {
    case AddressUse::pod: return v4 ? "10.244.0.0/16" : "fd00:10:244::/64";
    case AddressUse::node: return v4 ? "172.18.0.0/16" : "fd00:172:18::/64";
    case AddressUse::service: return v4 ? "10.96.0.0/16" : "fd00:10:96::/112";
    case AddressUse::detour: return v4 ? "10.97.0.0/16" : "fd00:10:97::/112";
  }
  return "";
}

std::optional<IpAddress> AddressBook::assign(AddressUse use, const std::string& owner, IpFamily family) {
  const auto known = assigned_.find({use, family, owner});
  if (known != assigned_.end()) return known->second;
  const Cidr block = *Cidr::parse(range(use, family));
  const std::uint32_t size = size_of(block);
  std::uint32_t& next = next_.try_emplace({use, family}, first_host(use)).first->second;
  while (next + 1 < size) {
    const IpAddress address = host_of(block, next++);
    if (!taken_.insert(address).second) continue;
    assigned_.emplace(std::tuple(use, family, owner), address);
    return address;
  }
  return std::nullopt;
}

}  // namespace postern::manifest
