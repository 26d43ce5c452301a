// SPDX-License-Identifier: Apache-2.0
// `postern --version`: what this build is, what the kernel offers, and what cannot run here and why.
#pragma once

#include <string>

namespace postern::cli {

std::string version_line();    // "postern 0.1.0 (commit 0123456789ab)"
std::string machine_report();  // libbpf, kernel features, what cannot run; several lines
int run_version();

}  // namespace postern::cli
