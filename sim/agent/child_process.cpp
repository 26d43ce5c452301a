// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "net/fd.h"
#include "net/system_error.h"

namespace postern::sim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAskedForMs = 5000;
constexpr std::streamoff kTailBytes = 4000;

}  // namespace

Result<ChildProcess> ChildProcess::start(const Netns& in, std::vector<std::string> arguments,
                                         const std::string& log_path) {
  const UniqueFd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return tl::unexpected(system_error("cannot open " + log_path));
  auto scope = NetnsScope::enter(in);
  if (!scope) return fail_as(scope);

  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, log.get(), STDERR_FILENO);
  pid_t process = -1;
  // The new process is in the network namespace of the calling thread.
  const int failed = ::posix_spawnp(&process, pointers.front(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return tl::unexpected(system_error("cannot run " + arguments.front(), failed));
  return ChildProcess(process, log_path);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      log_path_(std::move(other.log_path_)),
      ended_(std::move(other.ended_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  stop();
  process_ = std::exchange(other.process_, -1);
  log_path_ = std::move(other.log_path_);
  ended_ = std::move(other.ended_);
  return *this;
}

ChildProcess::~ChildProcess() { stop(); }

std::optional<std::string> ChildProcess::ended() {
  if (process_ < 0) return ended_;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return std::nullopt;
  process_ = -1;
  ended_ = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                               : "ended with status " + std::to_string(WEXITSTATUS(status));
  return ended_;
}

std::string tail_of(const std::string& path) {
  std::ifstream log(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = log ? static_cast<std::streamoff>(log.tellg()) : 0;
  log.seekg(size > kTailBytes ? size - kTailBytes : 0);
  std::ostringstream text;
  if (log) text << log.rdbuf();
  return text.str();
}

void ChildProcess::stop() {
  if (process_ < 0 || ended()) return;
  ::kill(process_, SIGTERM);
  const auto give_up = Clock::now() + std::chrono::milliseconds(kAskedForMs);
  while (!ended() && Clock::now() < give_up) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
}

}  // namespace postern::sim
