// SPDX-License-Identifier: Apache-2.0
// `postern` alone: the commands in a few lines, and what can run on this machine.
#pragma once

namespace postern::cli {

int run_overview();

}  // namespace postern::cli
