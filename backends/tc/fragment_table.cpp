// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/fragment_table.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

Result<void> read_bucket(int map_fd, std::uint32_t index, pn_fragment_bucket& bucket) {
  if (bpf_map_lookup_elem_flags(map_fd, &index, &bucket, BPF_F_LOCK) != 0) {
    return fail_errno("reading pn_fragments", errno);
  }
  return {};
}

// `change` alters a bucket that is in use.
template <typename Change>
Result<void> change_buckets(int map_fd, std::uint32_t buckets, Change change) {
  for (std::uint32_t index = 0; index < buckets; ++index) {
    pn_fragment_bucket bucket{};
    if (auto read = read_bucket(map_fd, index, bucket); !read) return read;
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

Result<std::vector<pn_fragment_way>> read_fragments(int map_fd, std::uint32_t buckets) {
  std::vector<pn_fragment_way> ways;
  for (std::uint32_t index = 0; index < buckets; ++index) {
    pn_fragment_bucket bucket{};
    if (auto read = read_bucket(map_fd, index, bucket); !read) return fail_as(read);
    std::copy_if(std::begin(bucket.ways), std::end(bucket.ways), std::back_inserter(ways),
                 [](const pn_fragment_way& way) { return way.step != 0; });
  }
  return ways;
}

}  // namespace postern::tc
