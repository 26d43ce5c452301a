// SPDX-License-Identifier: Apache-2.0
// The one thread that the agent's state lives on: descriptors, timers, and work that other threads hand
// over. Everything the agent knows is read and changed by callbacks of this loop, so nothing of it needs
// a lock; gRPC's threads reach it through post() alone.
//
// A callback may watch, forget, set and cancel whatever it likes, itself included. Callbacks return soon:
// while one runs nobody else does.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"

namespace postern::agent {

class EventLoop {
 public:
  // Names a timer; 0 is none.
  using TimerId = std::uint64_t;
  // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP.
  using Ready = std::function<void(std::uint32_t events)>;

  static Result<std::unique_ptr<EventLoop>> make();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // CLOCK_MONOTONIC, as every timer here is read.
  [[nodiscard]] static Instant now();

  // Calls `ready` whenever the descriptor has one of `events`; a second call for it replaces both. The
  // descriptor stays the caller's, who forgets it before closing it. Errors: io.
  Result<void> watch(int fd, std::uint32_t events, Ready ready);
  void forget(int fd);

  // Once, at or after `when`.
  TimerId at(Instant when, std::function<void()> due);
  TimerId after(Duration delay, std::function<void()> due) { return at(now() + delay, std::move(due)); }
  // No effect on a timer that has run, or on none.
  void cancel(TimerId timer);

  // Runs `work` on the loop's thread, in the order of the calls. From any thread, also after run() has
  // returned; then it is dropped with the loop.
  void post(std::function<void()> work);

  // Until stop(). Errors: io.
  Result<void> run();
  // From any thread.
  void stop();

 private:
  explicit EventLoop(int epoll, int wake) : epoll_(epoll), wake_(wake) {}
  void run_due_timers();
  void run_posted();
  [[nodiscard]] int wait_ms() const;

  int epoll_;
  int wake_;  // eventfd
  std::map<int, std::shared_ptr<Ready>> watched_;
  std::map<std::pair<Instant, TimerId>, std::function<void()>> timers_;
  std::map<TimerId, Instant> due_;
  TimerId next_timer_ = 1;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // under mutex_
  std::atomic<bool> stopped_ = false;
};

}  // namespace postern::agent
