// SPDX-License-Identifier: Apache-2.0
#include "agent/source/auto_source.h"

#include <algorithm>

namespace postern::agent {
namespace {

using kube::ResourceKind;

constexpr Duration kAskAgain = seconds(10);
constexpr std::array<ResourceKind, 4> kAsked{ResourceKind::network_policies, ResourceKind::services,
                                             ResourceKind::endpoint_slices, ResourceKind::policy_endpoints};

std::string refusal_of(const Result<kube::ApiAnswer>& answer) {
  if (!answer) return answer.error().to_string();
  switch (answer->status) {
    case 200: return "";
    case 403: return "may not be listed: the ClusterRole needs get, list, watch";
    case 404: return "are not known to the API server";
    default: return "cannot be listed: HTTP status " + std::to_string(answer->status);
  }
}

}  // namespace

AutoSource::~AutoSource() { loop_.cancel(again_); }

Result<void> AutoSource::start(Listener& listener) {
  listener_ = &listener;
  since_ = EventLoop::now();
  ask();
  return {};
}

const ClusterSnapshot& AutoSource::cluster() const {
  static const ClusterSnapshot kNothing;
  return taken_ ? taken_->cluster() : kNothing;
}

void AutoSource::ask() {
  again_ = 0;
  open_ = kQuestions;
  for (std::size_t question = 0; question < kQuestions; ++question) {
    kube::ApiCall call;
    call.target = kube::resource_of(kAsked[question]).path() + "?limit=1";
    api_.call(std::move(call),
              [this, question](const Result<kube::ApiAnswer>& answer) { answered(question, answer); });
  }
}

void AutoSource::answered(std::size_t question, const Result<kube::ApiAnswer>& answer) {
  refusals_[question] = refusal_of(answer);
  if (--open_ == 0) decide();
}

void AutoSource::decide() {
  const bool network_policies = std::all_of(refusals_.begin(), refusals_.begin() + 3,
                                            [](const std::string& refusal) { return refusal.empty(); });
  if (network_policies) return take(KubernetesSource::Policies::network_policies);
  if (refusals_[3].empty()) return take(KubernetesSource::Policies::policy_endpoints);
  std::string text = "no source of policy can be read yet:";
  for (std::size_t question = 0; question < kQuestions; ++question) {
    if (refusals_[question].empty()) continue;
    text += (text.back() == ':' ? " " : "; ") + std::string(kube::resource_of(kAsked[question]).plural) + ' ' +
            refusals_[question];
  }
  if (text != said_) listener_->source_warning(text);
  said_ = text;
  again_ = loop_.after(kAskAgain, [this] { ask(); });
}

void AutoSource::take(KubernetesSource::Policies policies) {
  taken_ = std::make_unique<KubernetesSource>(loop_, api_, KubernetesSource::Options{policies, node_name_, seed_});
  listener_->source_notice(policies == KubernetesSource::Policies::network_policies
                               ? "policy source: kubernetes, as NetworkPolicies, Services and EndpointSlices may be listed"
                               : "policy source: policyendpoints, as those may be listed, and " +
                                     std::string("not all of NetworkPolicies, Services and EndpointSlices"));
  // It has no error of its own to start with.
  if (auto started = taken_->start(*listener_); !started) listener_->source_warning(started.error().to_string());
}

std::vector<SourceStatus> AutoSource::status() const {
  if (taken_) return taken_->status();
  SourceStatus status;
  status.resource = "policies";
  status.state = said_.empty() ? SourceStatus::State::starting : SourceStatus::State::failing;
  status.detail = said_;
  status.since = since_;
  return {status};
}

}  // namespace postern::agent
