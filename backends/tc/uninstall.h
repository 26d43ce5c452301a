// SPDX-License-Identifier: Apache-2.0
// Removes everything that Postern left in the kernel, of every version, and nothing else: pinned
// attachments and programs and maps below the pin path, and our filters on clsact hooks of the current
// network namespace, also where their pins are gone. No agent is needed; none may be running.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::tc {

struct UninstallReport {
  std::vector<std::string> removed;  // a line each: "ingress of interface 7 (TCX)", "/sys/fs/bpf/..."
  std::vector<std::string> left;     // what stands among our pins and is not ours
};

// Where nothing is left to remove the report is empty. Errors: those of PinStore::open, but for pins
// that are not ours: those are left and reported; io, permission. What was removed before an error
// stays removed, and the call can be repeated.
Result<UninstallReport> uninstall(const std::string& pin_path);

}  // namespace postern::tc
