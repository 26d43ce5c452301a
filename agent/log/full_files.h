// SPDX-License-Identifier: Apache-2.0
// What becomes of log files that are full: they are set aside under the moment, as the Amazon agent's
// logger does it, then compressed, and after a while removed:
//   agent.log -> agent-2026-01-02T03-04-05.678.log -> agent-2026-01-02T03-04-05.678.log.gz
// The moment is in UTC, so names sort by age. A name never changes hands, so compressing one file may take
// its time while the next is set aside. Files whose names are not made like this are left alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::agent {

struct FullFileRules {
  std::string file;              // the log itself
  std::size_t most = 8;          // full files that are kept
  std::int64_t most_age_ms = 0;  // since they were set aside
};

// "agent-2026-01-02T03-04-05.678.log". `time_ms` counts from 1970 in UTC.
std::string full_file_name(const std::string& file, std::int64_t time_ms);

// Full files beside the log, compressed or not, the oldest first; full paths.
std::vector<std::string> full_files(const std::string& file);

// Renames the log. Errors: io. Never onto a file that is there: the moment is moved on then.
Result<std::string> set_aside(const std::string& file, std::int64_t time_ms);

// Removes those that are too many or too old, compresses the others, and removes what an end in the midst
// of that has left. Once `stop` is true the file that is being compressed is left as it was. Errors: io,
// the first; the other files are done all the same.
Result<void> tidy_full_files(const FullFileRules& rules, std::int64_t now_ms, const std::atomic<bool>& stop);

}  // namespace postern::agent
