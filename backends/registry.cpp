// SPDX-License-Identifier: Apache-2.0
#include "backends/registry.h"

#include "backends/native/native_backend.h"
#include "backends/tc/tc_backend.h"

namespace postern {

std::vector<BackendEntry> all_backends(const BackendOptions& options) {
  TcOptions tc;
  tc.object_path = options.bpf_object;
  return {
      {"native", "the datapath in this process, packets in memory", make_native_backend},
      {"tc", "the datapath in the kernel, on tc hooks",
       [tc](const TableSizes& sizes) { return make_tc_backend(sizes, tc); }},
  };
}

}  // namespace postern
