// SPDX-License-Identifier: Apache-2.0
// A BPF file system of this process's own, which nobody else sees and which goes with it.
#pragma once

#include <string>

namespace postern::test {

// Where it is mounted: over the machine's own, for this process alone. Moves the process into a mount
// namespace of its own at the first call; so call it before any thread is started. Empty: it could not
// be made.
const std::string& private_bpffs();

}  // namespace postern::test
