// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/pinned_counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "backends/tc/libbpf_log.h"
#include "backends/tc/pin_store.h"
#include "engine/abi/tables.h"
#include "engine/abi/verdict.h"
#include "net/fd.h"

namespace postern::tc {
namespace {

Result<std::uint64_t> sum_of_drops(const UniqueFd& counters) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno("counting CPUs", -cpus);
  std::vector<pn_counter> by_cpu(static_cast<std::size_t>(cpus));
  std::uint64_t sum = 0;
  for (const pn_direction direction : {PN_INGRESS, PN_EGRESS}) {
    for (std::uint32_t reason = PN_REASON_ISOLATED; reason < PN_REASON_COUNT; ++reason) {
      const std::uint32_t index = pn_counter_index(direction, reason);
      if (bpf_map_lookup_elem(counters.get(), &index, by_cpu.data()) != 0) {
        return fail_errno("reading the pinned pn_counters", errno);
      }
      for (const pn_counter& one : by_cpu) sum += one.packets;
    }
  }
  return sum;
}

}  // namespace

// Every generation of a version has the same counters, so the first that can be opened is as good as any:
// one that is being built or removed goes away between two looks.
Result<std::uint64_t> pinned_drops(const std::string& pin_path) {
  const auto versions = version_folders(pin_path);
  if (!versions) return fail_as(versions);
  for (const auto& version : *versions) {
    const auto generations = generation_folders(version);
    if (!generations) return fail_as(generations);
    for (const auto& generation : *generations) {
      const UniqueFd counters(bpf_obj_get((generation + "/pn_counters").c_str()));
      if (counters.valid()) return sum_of_drops(counters);
      if (errno != ENOENT) return fail_errno("opening " + generation + "/pn_counters", errno);
    }
  }
  return std::uint64_t{0};
}

}  // namespace postern::tc
