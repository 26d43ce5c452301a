// SPDX-License-Identifier: Apache-2.0
// Moves the program into namespaces of its own, from which nothing leads out and of which nothing is
// left, however the program ends. The kernel does the cleaning: namespaces live as long as something
// refers to them, and here only processes and descriptors do (no mounts, no files under /run/netns,
// no pins). The program is PID 1 of its PID namespace, so whatever it starts dies with it, and it
// dies with the process that waits for it outside.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace postern::sim {

// Names of the capabilities that are missing of those the namespace cluster needs
// (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW), separated by ", "; empty: all are there.
std::string missing_cluster_rights();

// Call at the start of main(), before any thread is started. The calling process stays behind: it
// forwards SIGINT and SIGTERM, waits, and exits with the program's status (128 + signal when one
// ended it). The call returns in a child that carries on as the program, in new mount, network and
// PID namespaces: fresh /proc, loopback up, no other interface, no route.
// Errors: permission, naming what is missing and the command that would work (returned before
// anything is done, or in the child); io.
Result<void> enter_sandbox();

}  // namespace postern::sim
