// SPDX-License-Identifier: Apache-2.0
// A process that holds a backend until it is killed, as an agent would be.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "engine/base/result.h"

namespace postern::test {

class EnforcingProcess {
 public:
  // Runs `work` in a child of this process, which then waits to be killed with everything that work()
  // left alive in static or captured storage. Returns when work() has. Errors: work()'s own.
  static Result<EnforcingProcess> start(const std::function<Result<void>()>& work);
  EnforcingProcess(EnforcingProcess&& other) noexcept;
  EnforcingProcess& operator=(EnforcingProcess&&) = delete;
  ~EnforcingProcess() { kill(); }

  [[nodiscard]] pid_t id() const { return id_; }
  // SIGKILL; returns when it is gone.
  void kill();

 private:
  explicit EnforcingProcess(pid_t id) : id_(id) {}
  pid_t id_;
};

}  // namespace postern::test
