// SPDX-License-Identifier: Apache-2.0
// What the ends of probe and packet lines mean at one step: globs over the live pods, nodes by name,
// and address literals as the pod, node or outside host they are at that step.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"
#include "sim/cluster.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

// One party that a written end stands for.
struct ResolvedEnd {
  std::string text;  // "x/a", "node:n1", "203.0.113.7": the party's one name in results
  Party party;
  const Pod* pod = nullptr;  // into the snapshot; null: no pod
};

struct ResolvedEnds {
  std::vector<ResolvedEnd> ends;  // in order of text
  bool exact = true;              // named exactly, not by a glob
};

// Answers for one snapshot, which must outlive it. Remembers what it resolved.
class EndResolver {
 public:
  explicit EndResolver(const ClusterSnapshot& cluster);

  // `text` as written. Errors: not_found with the nearest names; unsupported (Services, IPv6).
  Result<ResolvedEnds> resolve(const End& end, const std::string& text, const Location& where);

 private:
  Result<ResolvedEnds> resolve_glob(const PodGlob& glob, const std::string& text,
                                    const Location& where) const;
  Result<ResolvedEnds> resolve_node(const NodeEnd& node, const Location& where) const;
  Result<ResolvedEnds> resolve_address(const IpAddress& address, const Location& where) const;
  [[nodiscard]] ResolvedEnd pod_end(const Pod& pod) const;
  [[nodiscard]] std::vector<std::string> pod_names() const;

  const ClusterSnapshot& cluster_;
  std::map<IpAddress, const Pod*> pods_;  // live, of their own network
  std::map<IpAddress, const Node*> nodes_;
  std::map<std::string, ResolvedEnds> resolved_;  // by text
};

}  // namespace postern::sim
