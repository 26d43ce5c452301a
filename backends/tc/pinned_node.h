// SPDX-License-Identifier: Apache-2.0
// What stands in force on this node, read from its pins, with or without the agent that made them, and
// without disturbing it: nobody is locked out, and nothing is changed but where a function says so.
//
// It is the newest generation of this binary's own version (PN_ABI_VERSION): the layouts of another one
// would be read wrongly.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/tc/bpf_objects.h"
#include "backends/tc/conntrack_table.h"
#include "engine/abi/fragments.h"
#include "engine/enforce/backend.h"
#include "net/fd.h"

namespace postern::tc {

// An interface that Postern's programs are attached to.
struct PinnedInterface {
  std::uint32_t ifindex = 0;
  std::array<std::string, 2> kinds;  // by hook: "tcx", "clsact", or empty where nothing is attached
};

class PinnedNode {
 public:
  // Errors, each with what to do about it: unsupported (no BPF file system there, or pins of another
  // version alone), not_found (nothing is pinned), permission, io.
  static Result<PinnedNode> open(const std::string& pin_path);

  [[nodiscard]] const std::string& folder() const { return folder_; }  // of the generation
  [[nodiscard]] const TableSizes& sizes() const { return sizes_; }
  [[nodiscard]] int map_fd(const std::string& name) const;  // -1: no such map
  [[nodiscard]] int program_fd(const std::string& name) const;

  // As one policy: read again where it changed meanwhile.
  [[nodiscard]] Result<PolicyTables> tables() const;
  // In order of bucket and way; cut ones left out.
  [[nodiscard]] Result<std::vector<ConntrackEntry>> connections() const;
  // First fragments that were let through, those included whose time is over.
  [[nodiscard]] Result<std::vector<pn_fragment_way>> fragments() const;
  // Changes what is in force: these connections are judged as new ones by their next packet. A zero id:
  // everybody's, and all fragments.
  Result<void> forget_connections(EndpointId endpoint);
  // So too: connections and fragments are older by these ticks of the datapath's clock.
  Result<void> age_connections(std::uint32_t ticks);
  // Summed over CPUs, by pn_counter_index or enum pn_node_counter.
  [[nodiscard]] Result<pn_counter> counter(std::uint32_t index) const;
  [[nodiscard]] Result<std::vector<pn_counter>> counters() const;
  // Sorted by ifindex.
  [[nodiscard]] Result<std::vector<PinnedInterface>> interfaces() const;
  // Programs and maps of the generation, sorted by kind and name.
  [[nodiscard]] Result<std::vector<BpfObject>> objects() const;

 private:
  PinnedNode() = default;
  Result<void> open_generation();
  [[nodiscard]] ConntrackTable& sweepable();
  Result<void> size_tables();
  [[nodiscard]] Result<std::uint32_t> epoch() const;

  std::string pin_path_;
  std::string folder_;
  TableSizes sizes_;
  std::map<std::string, UniqueFd> maps_;      // by pin
  std::map<std::string, UniqueFd> programs_;  // by pin
  std::unique_ptr<ConntrackTable> sweepable_;  // its programs are loaded once
};

}  // namespace postern::tc
