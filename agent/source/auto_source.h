// SPDX-License-Identifier: Apache-2.0
// Finds out what this node's account may read, and takes the source that goes with it: NetworkPolicies
// where they and the Services behind their peers may be listed, else PolicyEndpoints. An account that may
// read neither, and a server that does not answer, are asked again until something changes.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "agent/kube/api_client.h"
#include "agent/source/kubernetes_source.h"

namespace postern::agent {

class AutoSource final : public PolicySource {
 public:
  // Loop and client outlive the source.
  AutoSource(EventLoop& loop, kube::ApiClient& api, std::string node_name, std::uint64_t seed)
      : loop_(loop), api_(api), node_name_(std::move(node_name)), seed_(seed) {}
  ~AutoSource() override;

  // The one that was taken; "auto" until then.
  [[nodiscard]] std::string_view name() const override { return taken_ ? taken_->name() : "auto"; }
  Result<void> start(Listener& listener) override;
  [[nodiscard]] bool synced() const override { return taken_ && taken_->synced(); }
  [[nodiscard]] const ClusterSnapshot& cluster() const override;
  [[nodiscard]] std::vector<SourceStatus> status() const override;

 private:
  // What is asked, in this order; an account needs the first three for NetworkPolicies.
  static constexpr std::size_t kQuestions = 4;

  void ask();
  void answered(std::size_t question, const Result<kube::ApiAnswer>& answer);
  void decide();
  void take(KubernetesSource::Policies policies);

  EventLoop& loop_;
  kube::ApiClient& api_;
  std::string node_name_;
  std::uint64_t seed_;
  Listener* listener_ = nullptr;
  std::unique_ptr<KubernetesSource> taken_;
  std::array<std::string, kQuestions> refusals_;  // empty: may be read
  std::size_t open_ = 0;                          // questions without an answer
  std::string said_;
  EventLoop::TimerId again_ = 0;
  Instant since_{};
};

}  // namespace postern::agent
