// SPDX-License-Identifier: Apache-2.0
// The host's network on the agent's loop: takes in what the kernel announces, looks again for pods that
// were not found, and tells whoever follows it that something is different.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "agent/interfaces/host_network.h"
#include "agent/loop/event_loop.h"
#include "agent/node/host_view.h"

namespace postern::agent {

class HostWatch final : public HostView {
 public:
  // The loop outlives it. Errors: HostNetwork's.
  static Result<std::unique_ptr<HostWatch>> start(EventLoop& loop, std::function<void()> changed);
  ~HostWatch() override;

  [[nodiscard]] const NetworkPicture& picture() const override { return network_.picture(); }
  void look_again(std::span<const IpAddress> unheard) override;

 private:
  HostWatch(EventLoop& loop, HostNetwork network, std::function<void()> changed)
      : loop_(loop), network_(std::move(network)), changed_(std::move(changed)) {}
  void drain();
  void tell(const Result<NetworkChanges>& changes);

  EventLoop& loop_;
  HostNetwork network_;
  std::function<void()> changed_;
  std::string refusal_;  // the last error that was logged
};

}  // namespace postern::agent
