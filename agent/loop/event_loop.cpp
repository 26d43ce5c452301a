// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

namespace postern::agent {
namespace {

tl::unexpected<Error> fail_errno(const std::string& what) {
  return fail(ErrorCode::io, what + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::make() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return fail_errno("making the event loop");
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    const auto error = fail_errno("making the event loop");
    close(epoll);
    return error;
  }
  std::unique_ptr<EventLoop> loop(new EventLoop(epoll, wake));
  // The work itself is picked up after every wait, whatever ended it.
  const auto drain = [wake](std::uint32_t) {
    std::uint64_t count = 0;
    while (read(wake, &count, sizeof count) > 0) {
    }
  };
  if (auto watched = loop->watch(wake, EPOLLIN, drain); !watched) return fail_as(watched);
  return loop;
}

EventLoop::~EventLoop() {
  close(wake_);
  close(epoll_);
}

Instant EventLoop::now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant{std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec};
}

Result<void> EventLoop::watch(int fd, std::uint32_t events, Ready ready) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  const bool known = watched_.contains(fd);
  if (epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail_errno("watching descriptor " + std::to_string(fd));
  }
  watched_[fd] = std::make_shared<Ready>(std::move(ready));
  return {};
}

void EventLoop::forget(int fd) {
  if (watched_.erase(fd) == 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::at(Instant when, std::function<void()> due) {
  const TimerId timer = next_timer_++;
  timers_.emplace(std::pair{when, timer}, std::move(due));
  due_.emplace(timer, when);
  return timer;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = due_.find(timer);
  if (found == due_.end()) return;
  timers_.erase({found->second, timer});
  due_.erase(found);
}

void EventLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  // A counter that is full wakes the loop just as well.
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
}

void EventLoop::stop() {
  stopped_ = true;
  post([] {});
}

int EventLoop::wait_ms() const {
  if (timers_.empty()) return -1;
  const std::int64_t left_ns = (timers_.begin()->first.first - now()).ns;
  if (left_ns <= 0) return 0;
  // Rounded up: a timer never runs before it is due.
  return static_cast<int>(std::min<std::int64_t>(left_ns / 1'000'000 + 1, 3'600'000));
}

void EventLoop::run_due_timers() {
  const Instant until = now();
  // What a callback sets for now runs in the next round, so that timers cannot keep descriptors waiting.
  while (!timers_.empty() && timers_.begin()->first.first <= until) {
    auto due = std::move(timers_.begin()->second);
    due_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    due();
    if (stopped_) return;
  }
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& one : work) one();
}

Result<void> EventLoop::run() {
  std::array<epoll_event, 64> events{};
  stopped_ = false;
  while (!stopped_) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    if (count < 0 && errno != EINTR) return fail_errno("waiting for events");
    for (int i = 0; i < count && !stopped_; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      const auto found = watched_.find(event.data.fd);
      if (found == watched_.end()) continue;  // forgotten by a callback before
      const auto ready = found->second;       // lives on if it forgets itself
      (*ready)(event.events);
    }
    run_posted();
    run_due_timers();
  }
  return {};
}

}  // namespace postern::agent
