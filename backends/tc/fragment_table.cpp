// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/fragment_table.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "backends/tc/libbpf_log.h"
#include "engine/abi/fragments.h"

namespace postern::tc {
namespace {

// `change` alters a bucket that is in use.
template <typename Change>
Result<void> change_buckets(int map_fd, std::uint32_t buckets, Change change) {
  for (std::uint32_t index = 0; index < buckets; ++index) {
    pn_fragment_bucket bucket{};
    if (bpf_map_lookup_elem_flags(map_fd, &index, &bucket, BPF_F_LOCK) != 0) {
      return fail_errno("reading pn_fragments", errno);
    }
    const bool used = std::any_of(std::begin(bucket.ways), std::end(bucket.ways),
                                  [](const pn_fragment_way& way) { return way.step != 0; });
    if (!used) continue;
    change(bucket);
    if (bpf_map_update_elem(map_fd, &index, &bucket, BPF_F_LOCK) != 0) {
      return fail_errno("writing pn_fragments", errno);
    }
  }
  return {};
}

}  // namespace

Result<void> age_fragments(int map_fd, std::uint32_t buckets, std::uint32_t ticks) {
  return change_buckets(map_fd, buckets, [&](pn_fragment_bucket& bucket) {
    for (pn_fragment_way& way : bucket.ways) way.seen -= ticks;
  });
}

Result<void> forget_fragments(int map_fd, std::uint32_t buckets) {
  return change_buckets(map_fd, buckets, [](pn_fragment_bucket& bucket) { bucket = {}; });
}

}  // namespace postern::tc
