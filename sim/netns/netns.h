// SPDX-License-Identifier: Apache-2.0
// A network namespace held by a descriptor alone, and a scope inside of one.
#pragma once

#include <span>
#include <string>

#include "engine/base/result.h"
#include "net/fd.h"

namespace postern::sim {

// What a namespace is for decides its sysctls.
enum class NetnsKind : std::uint8_t { end, router };

class Netns {
 public:
  // A new namespace with its sysctls set and loopback up; the caller stays where it is.
  static Result<Netns> create(NetnsKind kind);
  // The one the caller is in.
  static Result<Netns> current();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

// Switches IPv6 on in the current namespace, for the interfaces named and what is common to all: no
// address is made or looked for but those the caller adds, and none of them is probed for first.
// Off until then, so that a namespace without IPv6 traffic has none of the link's own either.
Result<void> enable_ipv6(NetnsKind kind, std::span<const std::string> interfaces);

// The calling thread is in `target` until the scope ends.
class NetnsScope {
 public:
  static Result<NetnsScope> enter(const Netns& target);
  NetnsScope(NetnsScope&&) noexcept = default;
  NetnsScope& operator=(NetnsScope&&) = delete;
  ~NetnsScope();

 private:
  friend class Netns;
  explicit NetnsScope(Netns back) : back_(std::move(back)) {}
  Netns back_;
};

}  // namespace postern::sim
