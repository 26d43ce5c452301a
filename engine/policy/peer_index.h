// SPDX-License-Identifier: Apache-2.0
// Which addresses a peer of a policy names. Pods are indexed by namespace and by label, so a
// selector looks at the pods that could match and not at the whole cluster.
#pragma once

#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern {

// One address of a pod that a peer names.
struct PeerMember {
  const Pod* pod = nullptr;
  IpAddress address;
};

class PeerIndex {
 public:
  // The snapshot must outlive the index.
  explicit PeerIndex(const ClusterSnapshot& cluster);

  // Pods that can be peers at all: live and not hostNetwork (R3, R23, R24).
  [[nodiscard]] std::vector<PeerMember> every_pod() const;
  [[nodiscard]] std::vector<PeerMember> matching(const PodPeer& peer,
                                                 const std::string& policy_namespace) const;
  // Addresses of pods inside a block (R4), for named ports.
  [[nodiscard]] std::vector<PeerMember> inside(const IpBlock& block) const;

 private:
  struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  using LabelPair = std::pair<std::string_view, std::string_view>;
  struct LabelHash {
    std::size_t operator()(const LabelPair& label) const;
  };
  using Posting = std::vector<std::size_t>;

  [[nodiscard]] std::vector<Span> namespaces_of(const PodPeer& peer,
                                                const std::string& policy_namespace) const;
  // The shortest list of pods that holds every match of the selector; null: the selector names no value.
  [[nodiscard]] const Posting* candidates(const LabelSelector& selector) const;

  const ClusterSnapshot* cluster_;
  std::vector<const Pod*> pods_;                 // by namespace, then name
  std::map<std::string_view, Span> namespaces_;  // ranges of pods_
  std::unordered_map<LabelPair, Posting, LabelHash> by_label_;
};

}  // namespace postern
