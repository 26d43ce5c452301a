// SPDX-License-Identifier: Apache-2.0
// Objects as somebody else keeps them (an API server, a folder) -> ClusterSnapshot. Nothing is invented:
// a Pod without an address has none, a workload is no pod, and a name that is used twice at once is
// nobody's business here. Scenario files have engine/manifest/cluster_state.h for all of that.
#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/source/agreeing_slices.h"
#include "engine/manifest/cluster_slices.h"
#include "engine/manifest/objects.h"
#include "engine/model/snapshot.h"

namespace postern::agent {

class SnapshotStore {
 public:
  // Which backends a Service with a selector has (R7). By its selector: the pods are all there. By EndpointSlices,
  // as Services without one: what a cluster's own controller writes, for who knows the pods of one node alone.
  enum class Backends : std::uint8_t { by_selector, by_endpoint_slices };

  explicit SnapshotStore(Backends backends = Backends::by_selector) : backends_(backends) {}

  // Creates or replaces the object of that kind and name. Workloads are left out.
  void put(const manifest::Object& object);
  // The same, without a copy of what is kept beside the cluster.
  void put(const std::shared_ptr<const manifest::Object>& object);
  // No effect where there is no such object.
  void remove(std::string_view kind, const NamespacedName& key);
  // Of one kind these objects and no others.
  void replace(std::string_view kind, const std::vector<manifest::Object>& objects);

  // Nothing is left; PolicyEndpoints and ClusterPolicyEndpoints go with the next settle(), unless they are
  // put again before.
  void clear();
  // Slices whose newest version cannot be read, and no others: PolicyEndpoints, and without a namespace
  // ClusterPolicyEndpoints. What was put of them is a version before.
  void refuse_slices(const std::set<NamespacedName>& keys);
  // Takes into the cluster what the calls above said of PolicyEndpoints and ClusterPolicyEndpoints: all of it
  // is one change. Of a cluster policy whose slices disagree, or of which one is refused, the last version that
  // agreed stays; one that never did is left out.
  void settle();
  // Cluster policies whose slices disagreed at the last settle().
  [[nodiscard]] std::size_t cluster_disagreeing() const { return cluster_disagreements_.size(); }
  // One message for each that was not said before.
  std::vector<std::string> take_cluster_news();

  [[nodiscard]] const ClusterSnapshot& cluster() const { return cluster_; }
  [[nodiscard]] AgreeingSlices& slices() { return slices_; }  // PolicyEndpoints alone
  [[nodiscard]] const AgreeingSlices& slices() const { return slices_; }

 private:
  void forget_cluster_slices();
  // Cluster policies of which some slice is refused.
  [[nodiscard]] std::set<std::string> held_back() const;

  Backends backends_;
  ClusterSnapshot cluster_;  // without the slices that slices_ holds back
  AgreeingSlices slices_;
  manifest::ClusterPolicyEndpoints cluster_slices_;
  std::set<std::string> refused_cluster_slices_;
  bool cluster_slices_touched_ = false;              // since the last settle()
  std::vector<std::string> cluster_disagreements_;  // messages, by policyRef
  std::set<std::string> cluster_said_;
};

// The kind and name of an object; workloads too.
NamespacedName key_of(const manifest::Object& object);

}  // namespace postern::agent
