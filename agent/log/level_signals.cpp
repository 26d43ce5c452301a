// SPDX-License-Identifier: Apache-2.0
#include "agent/log/level_signals.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "agent/log/log.h"

namespace postern::agent {
namespace {

LogLevel moved(LogLevel level, int steps) {
  const int moved_to = std::clamp(static_cast<int>(level) + steps, 0, static_cast<int>(LogLevel::fatal));
  return static_cast<LogLevel>(moved_to);
}

void change_to(LogLevel level, const char* cause) {
  const LogLevel before = log_level();
  if (level == before) return;
  // Whoever sends the signal wants to see that it came, whatever the levels are.
  set_log_level(std::min({level, before, LogLevel::info}));
  log_info("{}: log level {}, was {}", cause, to_string(level), to_string(before));
  set_log_level(level);
}

}  // namespace

Result<std::unique_ptr<LevelSignals>> LevelSignals::watch(EventLoop& loop,
                                                          std::function<Result<LogLevel>()> settings) {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&wanted, signal);
  const int blocked = pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  const int signals = blocked == 0 ? signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
  if (signals < 0) {
    return fail(ErrorCode::io,
                std::string("watching signals: ") + std::strerror(blocked != 0 ? blocked : errno));
  }
  std::unique_ptr<LevelSignals> made(new LevelSignals(loop, signals, std::move(settings)));
  auto* self = made.get();
  if (auto watched = loop.watch(signals, EPOLLIN, [self](std::uint32_t) { self->take(); }); !watched) {
    return fail_as(watched);
  }
  return made;
}

LevelSignals::LevelSignals(EventLoop& loop, int signals, std::function<Result<LogLevel>()> settings)
    : loop_(loop), signals_(signals), settings_(std::move(settings)) {}

LevelSignals::~LevelSignals() {
  loop_.forget(signals_);
  close(signals_);
}

void LevelSignals::take() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    switch (info.ssi_signo) {
      case SIGUSR1:
        change_to(moved(log_level(), -1), "SIGUSR1");
        break;
      case SIGUSR2:
        change_to(moved(log_level(), 1), "SIGUSR2");
        break;
      default:
        if (const auto level = settings_()) {
          change_to(*level, "SIGHUP");
        } else {
          log_error("SIGHUP: the settings are wrong, nothing is changed: {}", level.error().to_string());
        }
    }
  }
}

}  // namespace postern::agent
