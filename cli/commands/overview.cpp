// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/overview.h"

#include <cstdio>

#include "cli/commands/version.h"

namespace postern::cli {

int run_overview() {
  std::printf(
      "%s\n"
      "Kubernetes NetworkPolicy: tested offline, enforced with eBPF on each pod's interface.\n"
      "\n"
      "  postern test PATH...                         run scenario files; --backend sim (default), tc or "
      "all\n"
      "  postern replay CAPTURE... --manifests DIR    judge captured packets by the policies of manifests\n"
      "  postern explain --manifests DIR --from x/a --to y/b --port 80\n"
      "                                               why a connection passes or not\n"
      "  postern init --manifests DIR                 write a first scenario: what the policies say today\n"
      "  postern record --manifests DIR --flow 'x/a -> y/b:80'\n"
      "                                               the smallest scenario that reproduces a verdict\n"
      "  postern resolve --manifests DIR              print the PolicyEndpoints that the policies resolve to\n"
      "  postern COMMAND --help                       every option\n"
      "\n"
      "%s",
      version_line().c_str(), machine_report().c_str());
  return 0;
}

}  // namespace postern::cli
