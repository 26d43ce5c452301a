// SPDX-License-Identifier: Apache-2.0
// A source and a host network of variables, for tests of what stands between them and the kernel: a test sets the
// snapshot, says that it has changed, and looks at what became of it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "agent/node/host_view.h"
#include "agent/source/policy_source.h"
#include "test/unit/agent_node/pictures.h"

namespace postern::agent {

class FakeSource final : public PolicySource {
 public:
  std::string_view name() const override { return "fake"; }
  Result<void> start(Listener& to) override {
    listener = &to;
    return {};
  }
  bool synced() const override { return is_synced; }
  const ClusterSnapshot& cluster() const override { return snapshot; }
  std::vector<SourceStatus> status() const override {
    SourceStatus status;
    status.resource = "fakes";
    status.detail = "not now";
    return {status};
  }

  Listener* listener = nullptr;
  bool is_synced = false;
  ClusterSnapshot snapshot;
};

class FakeHost final : public HostView {
 public:
  const NetworkPicture& picture() const override { return small.picture; }
  void look_again(std::span<const IpAddress>) override { ++looks; }

  SmallHost small;
  int looks = 0;
};

}  // namespace postern::agent
