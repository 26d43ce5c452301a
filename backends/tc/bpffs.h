// SPDX-License-Identifier: Apache-2.0
// Files of a BPF file system. It holds folders and pins, and a pin keeps its object alive whatever
// becomes of the process that made it. A name has no dots; a folder is renamed in one step, pins and
// all, which is how a set of pins appears whole or not at all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "net/fd.h"

namespace postern::tc {

enum class PinKind { program, map, link };
std::string_view name_of(PinKind kind);

// Whether a path is, or can be made, on a BPF file system. Errors: invalid_input (not absolute, or a
// dot in a name), unsupported (it is not; the message names the command that mounts one).
Result<void> require_bpffs(const std::string& path);

// With its parents; one that is there is no error.
Result<void> make_folder(const std::string& path);
// True if the folder is gone or was never there; false if something is left in it.
Result<bool> remove_folder(const std::string& path);
Result<void> rename_folder(const std::string& from, const std::string& to);
bool folder_exists(const std::string& path);
// Sorted; nothing for a folder that is not there.
Result<std::vector<std::string>> names_in(const std::string& folder);

Result<void> make_pin(int fd, const std::string& path);
// Errors: not_found; invalid_input, an object of another kind.
Result<UniqueFd> open_pin(const std::string& path, PinKind kind);
// One that is not there is no error. The object goes with its last reference.
Result<void> remove_pin(const std::string& path);

}  // namespace postern::tc
