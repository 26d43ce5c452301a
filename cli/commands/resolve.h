// SPDX-License-Identifier: Apache-2.0
// `postern resolve`: the PolicyEndpoints that the NetworkPolicies of manifests resolve to, as the Amazon
// controller would write them, for kubectl and for whoever reads them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern::cli {

struct ResolveOptions {
  std::vector<std::string> manifests;  // files and folders
  std::string output = "-";            // a file; "-": standard output
  std::uint32_t chunk_size = 200;      // entries in each list of a slice
  std::vector<std::string> node_ips;   // hostIP of pods that name no node; one of each family
  std::string changed;                 // RFC 3339, for the annotation; empty: none
  std::string service_ip_blocks = "meaning";  // or "compat": R46
  bool json = false;                   // one List instead of YAML documents
  bool ignore_unsupported = false;
};

// Exit status: 0, or 2: something could not be read or written.
int run_resolve(const ResolveOptions& options);

}  // namespace postern::cli
