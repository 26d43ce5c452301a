// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/enforcing_process.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace postern::test {

Result<EnforcingProcess> EnforcingProcess::start(const std::function<Result<void>()>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return fail(ErrorCode::io, "no pipe");
  const pid_t child = fork();
  if (child < 0) return fail(ErrorCode::io, std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    const Result<void> done = work();
    const std::string word = done ? "." : done.error().to_string();
    (void)!write(ends[1], word.data(), word.size());
    close(ends[1]);
    for (;;) pause();
  }
  close(ends[1]);
  EnforcingProcess process(child);
  std::string word;
  std::array<char, 512> buffer{};
  for (ssize_t count = 0; (count = read(ends[0], buffer.data(), buffer.size())) > 0;) {
    word.append(buffer.data(), static_cast<std::size_t>(count));
  }
  close(ends[0]);
  if (word == ".") return process;
  return fail(ErrorCode::internal, word.empty() ? "the process died" : word);
}

EnforcingProcess::EnforcingProcess(EnforcingProcess&& other) noexcept : id_(std::exchange(other.id_, 0)) {}

void EnforcingProcess::kill() {
  if (id_ == 0) return;
  ::kill(id_, SIGKILL);
  while (waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  id_ = 0;
}

}  // namespace postern::test
