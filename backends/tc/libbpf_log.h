// SPDX-License-Identifier: Apache-2.0
// libbpf prints to stderr through one function of the process. Postern collects those lines instead
// and puts them into the error it returns: nothing but the command line writes to a terminal.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace postern::tc {

// Collects what libbpf says on this thread from construction on. One at a time on a thread.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  // The last lines, at most `limit` bytes of them; empty when libbpf was silent.
  [[nodiscard]] std::string tail(std::size_t limit = 1500) const;

 private:
  std::string text_;
  std::string* previous_;
};

// An Error for a failed system call: `what` says what was tried. EPERM and EACCES become
// ErrorCode::permission and name the capabilities that are missing; errors by which a kernel says
// that it does not know a feature become ErrorCode::unsupported. `error` is a positive errno.
tl::unexpected<Error> fail_errno(std::string_view what, int error, const LibbpfLog* log = nullptr);

// "CAP_BPF, CAP_NET_ADMIN" - those of the needed capabilities that this process does not have; empty
// when it has them all.
std::string missing_capabilities();

// Why BPF is refused although the capabilities are there: a user namespace, lockdown, seccomp. Empty
// when nothing is known to stand in the way.
std::string other_obstacles();

}  // namespace postern::tc
