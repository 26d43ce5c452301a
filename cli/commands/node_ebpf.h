// SPDX-License-Identifier: Apache-2.0
// `postern ebpf`: the words of the Amazon agent's command line, in its layout, also when this program is
// called aws-eks-na-cli or aws-eks-na-cli-v6. Where that agent has maps for each pod, Postern has one set
// for the node; so each pod's part of it is projected into maps with numbers of their own (docs/node-cli.md).
#pragma once

#include <cstdint>
#include <string>

#include "cli/commands/node_state.h"

namespace postern::cli {

// How addresses are shown: both families in the layout of that agent's text, or one, in that of its code.
enum class EbpfNames : std::uint8_t { both, amazon_v4, amazon_v6 };

struct EbpfOptions {
  NodeOptions node;
  bool wide = false;
  EbpfNames names = EbpfNames::both;
  std::uint32_t map_id = 0;  // dumps
};

// Exit status: 0, or 2 if the node cannot be read or there is no such map.
int run_ebpf_progs(const EbpfOptions& options);
int run_ebpf_maps(const EbpfOptions& options);
int run_ebpf_loaded(const EbpfOptions& options);
int run_ebpf_dump(const EbpfOptions& options);
int run_ebpf_dump_cluster_policy(const EbpfOptions& options);

// What of one pod is shown as a map of its own.
enum class ProjectedMap : std::uint8_t {
  ingress_map,
  egress_map,
  ingress_pod_state_map,
  egress_pod_state_map,
  cp_ingress_map,
  cp_egress_map,
};
inline constexpr std::uint32_t kProjectedMaps = 6;
const char* name_of(ProjectedMap map);
// Above every id that the kernel gives, and the same for as long as the pod has its endpoint.
inline constexpr std::uint32_t kFirstProjectedId = 3'000'000'000;
std::uint32_t projected_id(EndpointId endpoint, ProjectedMap map);

// What ends each entry of a listing, and of a dump.
inline constexpr const char* kListRule =
    "========================================================================================\n";
inline constexpr const char* kDumpRule = "*******************************\n";

}  // namespace postern::cli
