// SPDX-License-Identifier: Apache-2.0
// Removes what the Amazon EKS network policy agent left on a node that Postern now enforces on: its
// filters on clsact hooks, whose verdict would end the chain, and its pins. Interface by interface, each
// after Postern's own programs are attached, so nothing is open in between.
//
// A filter is that agent's if its program is one of those pinned in <folder>/programs, told by the
// program's id; every other filter stays, and the qdisc too. Pods whose names begin alike share programs
// and maps, so pins are removed when no interface of this network namespace runs their program any more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backends/tc/filters.h"

namespace postern::tc {

inline constexpr const char* kAmazonFolder = "/sys/fs/bpf/globals/aws";

class AmazonTakeover {
 public:
  // Looks at the pins and at every interface once; that agent must not be running any more. A folder
  // that is not there is nothing to take over. Errors: io, permission.
  static Result<AmazonTakeover> open(const std::string& folder = kAmazonFolder);

  // Detaches that agent's filters from both hooks of an interface, then removes the pins of programs
  // that nothing runs now, with the maps of their pods; with the last of them the maps that all share.
  // Returns what was removed, a line each. May be repeated.
  Result<std::vector<std::string>> take_over(std::uint32_t ifindex);

 private:
  AmazonTakeover(std::string folder, Filters filters)
      : folder_(std::move(folder)), filters_(std::move(filters)) {}
  Result<void> read_programs();
  Result<void> find_users();
  Result<bool> still_used(std::uint32_t program_id);
  Result<void> remove_unused_programs(std::vector<std::string>& removed);
  Result<void> remove_unused_maps(std::vector<std::string>& removed);

  std::string folder_;
  Filters filters_;
  std::map<std::uint32_t, std::set<std::string>> programs_;     // id -> names of its pins
  std::map<std::uint32_t, std::set<std::uint32_t>> interfaces_; // id -> those that ran it when last looked at
};

}  // namespace postern::tc
