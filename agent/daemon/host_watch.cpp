// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/host_watch.h"

#include <sys/epoll.h>

#include "agent/log/log.h"

namespace postern::agent {

Result<std::unique_ptr<HostWatch>> HostWatch::start(EventLoop& loop, std::function<void()> changed) {
  auto network = HostNetwork::open();
  if (!network) return fail_as(network);
  std::unique_ptr<HostWatch> watch(new HostWatch(loop, std::move(*network), std::move(changed)));
  if (!watch->network_.far_refusal().empty()) {
    log_warn("pods are found without what lies behind their veths: {}", watch->network_.far_refusal());
  }
  auto watched = loop.watch(watch->network_.fd(), EPOLLIN, [self = watch.get()](std::uint32_t) { self->drain(); });
  if (!watched) return fail_as(watched);
  return watch;
}

HostWatch::~HostWatch() { loop_.forget(network_.fd()); }

void HostWatch::drain() { tell(network_.drain()); }

void HostWatch::look_again(std::span<const IpAddress> unheard) { tell(network_.look_again(unheard)); }

// After an error the next call reads everything, so nothing is lost but time.
void HostWatch::tell(const Result<NetworkChanges>& changes) {
  if (!changes) {
    const std::string text = changes.error().to_string();
    if (text != refusal_) log_error("following the host's network: {}", text);
    refusal_ = text;
    return;
  }
  refusal_.clear();
  if (changes->any()) changed_();
}

}  // namespace postern::agent
