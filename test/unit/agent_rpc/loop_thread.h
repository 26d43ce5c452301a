// SPDX-License-Identifier: Apache-2.0
// A loop on a thread of its own, as the agent's main thread is to gRPC's.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "agent/loop/event_loop.h"

namespace postern::agent {

class LoopThread {
 public:
  LoopThread() {
    auto made = EventLoop::make();
    EXPECT_TRUE(made) << made.error().to_string();
    loop_ = std::move(*made);
  }
  ~LoopThread() { stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  EventLoop& loop() { return *loop_; }
  void start() {
    thread_ = std::thread([this] { EXPECT_TRUE(loop_->run()); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }
  // Runs `work` on the loop's thread and waits for it.
  void on_loop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace postern::agent
