// SPDX-License-Identifier: Apache-2.0
// What the ends of probe and packet lines mean at one step: globs over the live pods, nodes and
// Services by name, and address literals as the Service, pod, node or outside host they are at that
// step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"
#include "sim/cluster.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

// One party that a written end stands for.
struct ResolvedEnd {
  std::string text;  // "x/a", "node:n1", "service:x/web", "203.0.113.7": the party's one name in results
  Party party;       // without its address
  // Those of the scenario's families, IPv4 first; of a Service its ClusterIPs; one for a literal.
  std::vector<IpAddress> addresses;
  const Pod* pod = nullptr;          // into the snapshot; null: no pod
  const Service* service = nullptr;  // into the snapshot; null: no Service
  bool literal = false;              // written as an address

  [[nodiscard]] std::optional<IpAddress> address(IpFamily family) const;
  [[nodiscard]] Party at(const IpAddress& address) const;
};

struct ResolvedEnds {
  std::vector<ResolvedEnd> ends;  // in order of text
  bool exact = true;              // named exactly, not by a glob
};

// Where traffic to one end may be taken: the end itself, or one backend of a Service.
struct Target {
  Party to;
  std::uint16_t port = 0;         // behind a Service the target port
  std::optional<ServiceHop> via;  // as the client writes it
};

// Answers for one snapshot, which must outlive it. Remembers what it resolved.
class EndResolver {
 public:
  EndResolver(const ClusterSnapshot& cluster, ScenarioFamily family);

  // `text` as written. Errors: not_found with the nearest names.
  Result<ResolvedEnds> resolve(const End& end, const std::string& text, const Location& where);
  // At every address of the end. `service_port`: of a Service, else null; where nothing stands behind
  // it the target is the Service itself, which never answers.
  [[nodiscard]] std::vector<Target> targets(const ResolvedEnd& end, std::uint16_t port,
                                            const ServicePort* service_port) const;

 private:
  Result<ResolvedEnds> resolve_glob(const PodGlob& glob, const std::string& text,
                                    const Location& where) const;
  Result<ResolvedEnds> resolve_node(const NodeEnd& node, const Location& where) const;
  Result<ResolvedEnds> resolve_service(const ServiceEnd& end, const Location& where) const;
  [[nodiscard]] ResolvedEnds resolve_address(const IpAddress& address) const;
  [[nodiscard]] ResolvedEnd party_with(const IpAddress& address) const;
  [[nodiscard]] std::vector<std::string> pod_names() const;

  const ClusterSnapshot& cluster_;
  ScenarioFamily family_;
  std::map<IpAddress, const Pod*> pods_;  // live, of their own network
  std::map<IpAddress, const Node*> nodes_;
  std::map<IpAddress, const Service*> services_;
  std::map<std::string, ResolvedEnds> resolved_;  // by text
};

}  // namespace postern::sim
