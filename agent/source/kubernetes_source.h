// SPDX-License-Identifier: Apache-2.0
// Policy from an API server, of either kind: NetworkPolicies, which are resolved on this node, or the
// PolicyEndpoints that a controller has resolved them to. The watcher follows the objects; here they
// become a snapshot.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/watcher.h"
#include "agent/source/policy_source.h"
#include "agent/source/snapshot_store.h"

namespace postern::agent {

class KubernetesSource final : public PolicySource, private kube::ResourceSink {
 public:
  enum class Policies : std::uint8_t { network_policies, policy_endpoints };

  struct Options {
    Policies policies = Policies::network_policies;
    std::string node_name;   // PolicyEndpoints hold every address, so of the pods only this node's are watched
    std::uint64_t seed = 0;  // of the watcher's jitter
  };

  // Loop and client outlive the source.
  KubernetesSource(EventLoop& loop, kube::ApiClient& api, const Options& options);
  ~KubernetesSource() override;

  [[nodiscard]] std::string_view name() const override;
  Result<void> start(Listener& listener) override;
  // A kind whose CRD is not installed has no objects; every other kind must have been listed.
  [[nodiscard]] bool synced() const override;
  [[nodiscard]] const ClusterSnapshot& cluster() const override { return store_.cluster(); }
  [[nodiscard]] std::vector<SourceStatus> status() const override;

 private:
  void changed(kube::ResourceKind resource, const kube::Changes& changes) override;
  void rejected(kube::ResourceKind resource, const NamespacedName& key,
                const std::vector<Error>& errors) override;
  void accepted(kube::ResourceKind resource, const NamespacedName& key) override;
  void state(kube::ResourceKind resource, const kube::ResourceState& state) override;
  void tell_changed();
  void tell_of_slices();

  EventLoop& loop_;
  Policies policies_;
  std::vector<kube::ResourceKind> resources_;
  kube::Watcher watcher_;
  Listener* listener_ = nullptr;
  SnapshotStore store_;
  std::map<kube::ResourceKind, std::map<NamespacedName, std::string>> rejected_;
  EventLoop::TimerId slices_timer_ = 0;
  mutable bool synced_ = false;
};

}  // namespace postern::agent
