// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM as a wish to end soon: what was judged is still written. A second one ends the
// process at once.
#pragma once

namespace postern::cli {

// Call it after the process is where it stays (its sandbox, if it has one).
void catch_interrupts();
bool interrupted();

}  // namespace postern::cli
