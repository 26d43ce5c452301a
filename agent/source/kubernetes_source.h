// SPDX-License-Identifier: Apache-2.0
// Policy from an API server, of either kind: NetworkPolicies, which are resolved on this node, or the
// PolicyEndpoints that a controller has resolved them to. The watcher follows the objects; here they
// become a snapshot.
//
// With PolicyEndpoints, Services and EndpointSlices are followed where the account may read both. Where it
// may not, no Service is known, and a ClusterIP is matched as any address is (R46).
//
// What an event of a watch deletes is gone. What only a list lacks may be lost, with all else that the server
// had: from then on everything that comes is held back, until the server says that it knows this node
// (node_witness.h). So is all that there is at the start, for what an earlier process left in force.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/watcher.h"
#include "agent/source/node_witness.h"
#include "agent/source/policy_source.h"
#include "agent/source/snapshot_store.h"

namespace postern::agent {

class KubernetesSource final : public PolicySource, private kube::ResourceSink {
 public:
  enum class Policies : std::uint8_t { network_policies, policy_endpoints };

  struct Options {
    Policies policies = Policies::network_policies;
    // The server has to know it; empty: it is believed as it is. PolicyEndpoints hold every address, so of
    // the pods only this node's are watched.
    std::string node_name;
    std::uint64_t seed = 0;  // of the jitter of watcher and witness
  };

  // Loop and client outlive the source.
  KubernetesSource(EventLoop& loop, kube::ApiClient& api, const Options& options);
  ~KubernetesSource() override;

  [[nodiscard]] std::string_view name() const override;
  Result<void> start(Listener& listener) override;
  // A kind whose CRD is not installed has no objects, and what may be done without need not be readable; every
  // other kind must have been listed, by a server that knows this node.
  [[nodiscard]] bool synced() const override { return synced_; }
  [[nodiscard]] const ClusterSnapshot& cluster() const override { return store_.cluster(); }
  [[nodiscard]] std::vector<SourceStatus> status() const override;

 private:
  // What has come and is not in the store; null: deleted.
  using Held = std::map<kube::ResourceKind, std::map<NamespacedName, kube::ObjectPtr>>;

  void changed(kube::ResourceKind resource, const kube::Changes& changes) override;
  void rejected(kube::ResourceKind resource, const NamespacedName& key,
                const std::vector<Error>& errors) override;
  void accepted(kube::ResourceKind resource, const NamespacedName& key) override;
  void state(kube::ResourceKind resource, const kube::ResourceState& state) override;
  [[nodiscard]] bool all_listed() const;
  // The account may not read this kind and never could, which is no failure.
  [[nodiscard]] bool does_without(kube::ResourceKind resource) const;
  // Whether what comes of this kind may go into the snapshot: of Services and their backends both or none.
  [[nodiscard]] bool is_used(kube::ResourceKind resource) const;
  void go_on();
  void follow_witness();
  // Of what is held that which may go into the store.
  Held take_held();
  void adopt();
  void refuse_slices();
  void tell_of_slices();

  EventLoop& loop_;
  kube::ApiClient& api_;
  Policies policies_;
  std::string node_name_;
  std::vector<kube::ResourceKind> resources_;
  kube::Watcher watcher_;
  Listener* listener_ = nullptr;
  SnapshotStore store_;
  std::map<kube::ResourceKind, std::map<NamespacedName, std::string>> rejected_;
  EventLoop::TimerId slices_timer_ = 0;
  EventLoop::TimerId accepted_timer_ = 0;
  bool refusals_changed_ = false;  // of slices, since the store was told
  // Each object once, so that it does not grow with time.
  Held held_;
  std::shared_ptr<NodeWitness> witness_;  // answers may come when the source has gone
  std::uint64_t asked_ = 0;               // the witness's question that runs; 0: none
  EventLoop::TimerId witness_timer_ = 0;
  bool complete_ = false;  // everything was listed once
  bool synced_ = false;    // and adopted
};

}  // namespace postern::agent
