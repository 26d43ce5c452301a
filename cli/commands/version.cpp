// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/version.h"

#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <cstdio>

#include "cli/build_info.h"
#ifdef POSTERN_HAS_TC
#include "backends/tc/features.h"
#endif

namespace postern::cli {

std::string version_line() { return std::string("postern ") + POSTERN_VERSION + " (commit " POSTERN_COMMIT ")"; }

std::string machine_report() {
  std::string text = std::string("libbpf  ") + libbpf_version_string() + "\n";
  utsname kernel{};
  if (uname(&kernel) == 0) text += std::string("kernel  ") + kernel.sysname + ' ' + kernel.release + ' ' + kernel.machine + "\n";
  text += "sim     runs here\n";
  return text;
}

int run_version() {
  std::fputs((version_line() + "\n" + machine_report()).c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
