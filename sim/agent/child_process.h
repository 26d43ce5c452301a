// SPDX-License-Identifier: Apache-2.0
// A program that runs beside this one: in a namespace, its output in a file, ended with its owner.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "sim/netns/netns.h"

namespace postern::sim {

// The last lines of a file; empty when it cannot be read.
std::string tail_of(const std::string& path);

class ChildProcess {
 public:
  // `arguments`: the program first, by its path or as PATH has it. Standard output and error are appended to `log_path`.
  static Result<ChildProcess> start(const Netns& in, std::vector<std::string> arguments,
                                    const std::string& log_path);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  // ends it: asks first, kills after some seconds

  // How it ended, in words; absent: it runs.
  std::optional<std::string> ended();
  [[nodiscard]] std::string log_tail() const { return tail_of(log_path_); }
  // Of the process while it runs; -1 once it has ended.
  [[nodiscard]] pid_t pid() const { return process_; }

 private:
  ChildProcess(pid_t process, std::string log_path) : process_(process), log_path_(std::move(log_path)) {}
  void stop();

  pid_t process_ = -1;
  std::string log_path_;
  std::optional<std::string> ended_;
};

}  // namespace postern::sim
