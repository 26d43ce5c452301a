// SPDX-License-Identifier: Apache-2.0
#include "agent/log/rotating_sink.h"

#include <csignal>

#include <chrono>
#include <cstdio>
#include <utility>

namespace postern::agent {
namespace {

constexpr std::chrono::hours kLookForOldFiles{1};

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

RotatingSink::RotatingSink(FullFileRules rules, std::size_t max_bytes)
    : rules_(std::move(rules)), max_bytes_(max_bytes) {
  file_.open(rules_.file);
  bytes_ = file_.size();
  // Signals are for the threads of the agent, which may not have said yet how they take them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  tidier_ = std::thread([this] { tidy_until_stopped(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RotatingSink::~RotatingSink() {
  {
    const std::lock_guard lock(wake_mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  tidier_.join();
}

void RotatingSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  if (bytes_ != 0 && bytes_ + line.size() > max_bytes_) begin_new_file();
  file_.write(line);
  bytes_ += line.size();
}

void RotatingSink::begin_new_file() {
  bytes_ = 0;
  file_.flush();
  if (auto renamed = set_aside(rules_.file, now_ms()); !renamed) {
    std::fprintf(stderr, "postern: %s\n", renamed.error().to_string().c_str());
    return;
  }
  file_.open(rules_.file);
  const std::lock_guard lock(wake_mutex_);
  full_ = true;
  wake_.notify_one();
}

void RotatingSink::tidy_until_stopped() {
  std::unique_lock lock(wake_mutex_);
  while (!stop_) {
    full_ = false;
    lock.unlock();
    // Not into the log, which would be written from within itself.
    if (auto done = tidy_full_files(rules_, now_ms(), stop_); !done) {
      std::fprintf(stderr, "postern: %s\n", done.error().to_string().c_str());
    }
    lock.lock();
    wake_.wait_for(lock, kLookForOldFiles, [this] { return full_ || stop_; });
  }
}

}  // namespace postern::agent
