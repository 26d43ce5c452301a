// SPDX-License-Identifier: Apache-2.0
#include "sim/cni/plugin_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "net/fd.h"
#include "net/system_error.h"

namespace postern::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(30);

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("cannot make a pipe"));
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<pid_t> start(const PluginRun& run, const Pipe& input, const Pipe& output) {
  std::vector<std::string> environment = run.environment;
  std::vector<char*> pointers;
  for (auto& variable : environment) pointers.push_back(variable.data());
  pointers.push_back(nullptr);
  std::string program = run.program;
  std::array<char*, 2> arguments{program.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
  pid_t process = -1;
  const int failed =
      ::posix_spawn(&process, program.c_str(), &actions, nullptr, arguments.data(), pointers.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return tl::unexpected(system_error("cannot run " + run.program, failed));
  return process;
}

// False: it took too long.
bool read_all(const UniqueFd& from, std::string& text) {
  const auto limit = Clock::now() + kPatience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now()).count();
    pollfd ready{from.get(), POLLIN, 0};
    const int count = left <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    std::array<char, 4096> part{};
    const auto length = ::read(from.get(), part.data(), part.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return true;
    text.append(part.data(), static_cast<std::size_t>(length));
  }
}

}  // namespace

Result<PluginOutcome> run_plugin(const PluginRun& run) {
  auto input = make_pipe();
  auto output = make_pipe();
  if (!input || !output) return fail_as(input ? output : input);
  // It fits the pipe, so it can be written before anybody reads.
  if (::write(input->write.get(), run.input.data(), run.input.size()) !=
      static_cast<ssize_t>(run.input.size())) {
    return tl::unexpected(system_error("cannot write the input of " + run.program));
  }
  const auto process = start(run, *input, *output);
  if (!process) return fail_as(process);
  input->write.reset();
  output->write.reset();

  PluginOutcome outcome;
  const bool in_time = read_all(output->read, outcome.output);
  if (!in_time) ::kill(*process, SIGKILL);
  int status = 0;
  while (::waitpid(*process, &status, 0) < 0) {
    if (errno != EINTR) return tl::unexpected(system_error("cannot wait for " + run.program));
  }
  if (!in_time) return fail(ErrorCode::io, run.program + " did not end within 30 s");
  outcome.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

}  // namespace postern::sim
