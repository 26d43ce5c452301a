// SPDX-License-Identifier: Apache-2.0
// What comes of an HTTP request besides its bytes. Plain values: the reflector knows these and no client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/time.h"

namespace postern::agent::kube {

// The first lines of an answer.
struct HttpHead {
  int status = 0;
  std::optional<Duration> retry_after;
};

// Why there is no answer, or no end of one.
struct HttpFailure {
  enum class Kind : std::uint8_t { refused, unresolved, untrusted, timeout, broken };
  Kind kind = Kind::broken;
  std::string message;  // what was found and what was expected, without the URL
};

}  // namespace postern::agent::kube
