// SPDX-License-Identifier: Apache-2.0
// `postern replay`: captures judged packet by packet against manifests.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace postern::cli {

struct ReplayOptions {
  std::vector<std::string> captures;
  std::vector<std::string> manifests;  // files and folders
  std::string vantage = "pod-veth";    // where the captures were taken
  std::string json;                    // file for the result, "-" for standard output; empty: none
  std::size_t flows = 20;              // rows of the table of flows
  bool fail_on_denied = false;         // exit with 1 if a packet was denied
  bool strict = false;                 // R25
  bool ignore_unsupported = false;
  bool verbose = false;  // every flow, not only the most telling
};

// Exit status: 0 judged, 1 with fail_on_denied and a denied packet, 2 something could not be read,
// or with fail_on_denied nothing could be judged
// (what could be read of a damaged capture is judged and shown all the same).
int run_replay(const ReplayOptions& options);

}  // namespace postern::cli
