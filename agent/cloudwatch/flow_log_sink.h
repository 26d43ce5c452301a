// SPDX-License-Identifier: Apache-2.0
// The port by which what makes lines of flow events hands them on. Whoever implements it never blocks and
// never fails: what it cannot keep it counts.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::agent {

class FlowLogSink {
 public:
  virtual ~FlowLogSink() = default;
  // On the loop's thread. The moment is when the packet was judged, in milliseconds of Unix time.
  virtual void add(std::int64_t unix_ms, std::string_view message) = 0;
};

}  // namespace postern::agent
