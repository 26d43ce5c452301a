// SPDX-License-Identifier: Apache-2.0
// A folder in memory for the files of one run, in the sandbox's own mounts: it ends with them.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"

namespace postern::sim {

class WorkFolder {
 public:
  // Errors: io, permission. A run that is killed leaves an empty folder below the system's one for
  // temporary files.
  static Result<std::unique_ptr<WorkFolder>> make();
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace postern::sim
