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
      "\n"
      "on a node, by what is pinned there, with or without its agent:\n"
      "  postern status                               pods, interfaces, policies, counters\n"
      "  postern policy --pod x/a                     its tables in the kernel: who may do what, by which rule\n"
      "  postern trace --from x/a --to y/b --port 80  one packet through the kernel's own program\n"
      "  postern monitor --verdict deny               verdicts as they are made, like tcpdump\n"
      "  postern conntrack list|flush                 tracked connections\n"
      "  postern ebpf progs|maps|dump-maps ID|...     the commands of aws-eks-na-cli\n"
      "\n"
      "  postern COMMAND --help                       every option\n"
      "\n"
      "%s",
      version_line().c_str(), machine_report().c_str());
  return 0;
}

}  // namespace postern::cli
