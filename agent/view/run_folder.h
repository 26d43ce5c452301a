// SPDX-License-Identifier: Apache-2.0
// The folder of the files that an agent keeps for others to read. Its place depends on what a DaemonSet
// mounts: on a node of the VPC CNI that is /var/run/aws-node, elsewhere the agent's own folder.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::agent {

inline constexpr const char* kRunFolder = "/run/postern";
inline constexpr const char* kAmazonRunFolder = "/var/run/aws-node/postern";

// Where an agent writes that was told no folder.
std::string default_run_folder();
// Where a reader looks that was told none: the folder whose file of that name is the newest; empty: no
// folder has it, or none can be read.
std::string newest_run_folder(const std::string& file);

// Makes the folder, for its owner alone, and replaces the file in one step: a reader sees the old text or
// the new one. Errors: io, permission.
Result<void> replace_file(const std::string& folder, const std::string& file, const std::string& text);
// Removes these files of it, and the folder if nothing else is in it; a path for each. Errors: io, permission.
Result<std::vector<std::string>> remove_files(const std::string& folder, std::span<const char* const> files);
// At most `limit` bytes. Errors: not_found, permission, io, invalid_input (larger).
Result<std::string> read_run_file(const std::string& path, std::size_t limit);

}  // namespace postern::agent
