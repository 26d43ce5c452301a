// SPDX-License-Identifier: Apache-2.0
// `postern record`: a verdict of manifests, seen in a capture or a log or asked by name, as the smallest
// scenario file that reproduces it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/flow/flow_record.h"
#include "engine/base/result.h"
#include "engine/model/snapshot.h"

namespace postern::cli {

struct RecordOptions {
  std::vector<std::string> manifests;   // files and folders, "-": standard input
  bool agent = false;                   // in place of them the objects, and the mode, that an agent on this node goes by
  std::string run_folder;               // where that agent keeps them; empty: the newest of the usual two
  std::string flow;                     // "x/a -> y/b:80/TCP"; empty: none
  std::string capture;                  // a file; empty: none
  std::optional<std::uint64_t> packet;  // of the capture
  std::string log;                      // a record of a flow log, or a file that holds one; empty: none
  std::string family;                   // "IPv4" or "IPv6"; empty: IPv4 where both ends have it
  std::string output = "-";             // a file; "-": standard output
  bool force = false;                   // overwrite
  bool strict = false;                  // R25
  bool ignore_unsupported = false;
};

// Exit status: 0 written, 2 something could not be read, found, reproduced or written; then nothing is.
int run_record(const RecordOptions& options);

// The smallest scenario in which the flow gets the verdict that the policies of `cluster` give it, whatever
// the flow says that it got. Errors: an end that nobody knows, a flow that no scenario can tell.
Result<std::string> scenario_of(const ClusterSnapshot& cluster, const agent::FlowRecord& flow, bool strict);

}  // namespace postern::cli
