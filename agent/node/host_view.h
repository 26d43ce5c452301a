// SPDX-License-Identifier: Apache-2.0
// The port through which the node's agent sees the host's network: netlink in production, a variable in
// tests.
#pragma once

#include <span>

#include "agent/interfaces/network_picture.h"
#include "engine/base/result.h"

namespace postern::agent {

class HostView {
 public:
  virtual ~HostView() = default;
  [[nodiscard]] virtual const NetworkPicture& picture() const = 0;
  // For pods that were not found: looks behind all veths again, and has bridges ask for `unheard`. What it
  // finds changes the picture, at once or later.
  virtual void look_again(std::span<const IpAddress> unheard) = 0;
};

}  // namespace postern::agent
