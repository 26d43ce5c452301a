// SPDX-License-Identifier: Apache-2.0
// Addresses for what was given none: one range for each use and family, and whoever got an address
// once keeps it, so that a scenario means the same whenever and wherever it runs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "engine/base/ip.h"

namespace postern::manifest {

enum class AddressUse : std::uint8_t {
  pod,      // 10.244.0.1 and up, fd00:10:244::1 and up
  node,     // 172.18.0.2 and up, fd00:172:18::2 and up
  service,  // 10.96.0.1 and up, fd00:10:96::1 and up
  detour,   // 10.97.0.1 and up, fd00:10:97::1 and up: Services that no object of the file is
};

class AddressBook {
 public:
  // An address that stands in the file is never assigned to something else.
  void reserve(const IpAddress& address) { taken_.insert(address); }
  // What `owner` was given before, else the first free address; none: the range is used up.
  std::optional<IpAddress> assign(AddressUse use, const std::string& owner, IpFamily family);

  static const char* range(AddressUse use, IpFamily family);  // "10.244.0.0/16"

 private:
  std::set<IpAddress> taken_;  // reserved and assigned
  std::map<std::tuple<AddressUse, IpFamily, std::string>, IpAddress> assigned_;
  std::map<std::pair<AddressUse, IpFamily>, std::uint32_t> next_;
};

}  // namespace postern::manifest
