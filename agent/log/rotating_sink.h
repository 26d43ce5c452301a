// SPDX-License-Identifier: Apache-2.0
// A log file that is set aside when it is full (full_files.h). Whoever logs pays for one rename; what is
// old or large is worked on by a thread of the sink's own, after each full file and once an hour.
// Lines are never torn, and a line is never lost for a folder that cannot be written: the file then grows
// on, and setting it aside is tried again when as much has been written once more.
#pragma once

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "agent/log/full_files.h"

namespace postern::agent {

class RotatingSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // Throws spdlog_ex where the file cannot be opened, as sinks do.
  RotatingSink(FullFileRules rules, std::size_t max_bytes);
  ~RotatingSink() override;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override { file_.flush(); }

 private:
  void begin_new_file();
  void tidy_until_stopped();

  FullFileRules rules_;
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  spdlog::details::file_helper file_;

  std::mutex wake_mutex_;  // of full_
  std::condition_variable wake_;
  bool full_ = true;  // what an earlier process left is looked at first
  std::atomic<bool> stop_ = false;
  std::thread tidier_;
};

}  // namespace postern::agent
