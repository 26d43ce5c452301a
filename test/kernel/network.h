// SPDX-License-Identifier: Apache-2.0
// Links for kernel tests, in the current network namespace, and frames on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::test {

// A veth pair, both ends up; index 0 lets the kernel choose. Returns the index of the first end.
Result<std::uint32_t> make_veth(const std::string& name, const std::string& peer, std::uint32_t index = 0);
Result<void> delete_link(std::uint32_t index);

// A raw socket on one interface: what is sent there the other end of a veth receives.
class FrameSocket {
 public:
  explicit FrameSocket(const std::string& interface);
  ~FrameSocket();
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;
  [[nodiscard]] bool send(std::span<const std::byte> frame) const;
  // Frames that arrived from outside since the last call, waiting up to `wait_ms` for the first.
  [[nodiscard]] std::vector<std::vector<std::byte>> receive(int wait_ms) const;

 private:
  int fd_ = -1;
};

}  // namespace postern::test
