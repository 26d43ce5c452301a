// SPDX-License-Identifier: Apache-2.0
// The log's level, changed while the agent runs:
//   SIGHUP   reads the settings again (flags, environment, the file of --config as it is now) and takes
//            the level they say, also after the two below
//   SIGUSR1  one level more talkative     SIGUSR2  one level less
#pragma once

#include <functional>
#include <memory>

#include "agent/log/log_level.h"
#include "agent/loop/event_loop.h"
#include "engine/base/result.h"

namespace postern::agent {

class LevelSignals {
 public:
  // Blocks the three signals in this thread, and so in those it starts later: call it before any other
  // thread is there, or a signal may end the process. The loop outlives the object. Errors: io.
  static Result<std::unique_ptr<LevelSignals>> watch(EventLoop& loop,
                                                     std::function<Result<LogLevel>()> settings);
  ~LevelSignals();
  LevelSignals(const LevelSignals&) = delete;
  LevelSignals& operator=(const LevelSignals&) = delete;

 private:
  LevelSignals(EventLoop& loop, int signals, std::function<Result<LogLevel>()> settings);
  void take();

  EventLoop& loop_;
  int signals_;  // signalfd
  std::function<Result<LogLevel>()> settings_;
};

}  // namespace postern::agent
