// SPDX-License-Identifier: Apache-2.0
// What this machine offers: asked of the kernel itself where that leaves nothing behind, and never
// printing. Works without any rights; then the rows say what is missing.
#pragma once

#include <string>
#include <vector>

namespace postern::tc {

struct Feature {
  std::string name;  // "BPF programs"
  bool available = false;
  std::string detail;  // what was found, or why it is not available
};

// In a fixed order: kernel, BPF programs, attachment, ring buffer, network namespaces, SCTP sockets,
// libbpf.
std::vector<Feature> probe_features();

// Only "BPF programs": may this process load them? The detail says why not.
Feature probe_bpf();

}  // namespace postern::tc
