// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/work_folder.h"

#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "net/system_error.h"

namespace postern::sim {

Result<std::unique_ptr<WorkFolder>> WorkFolder::make() {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  if (error) return fail(ErrorCode::io, "no folder for temporary files: " + error.message());
  std::string path = (base / "postern-agent-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return tl::unexpected(system_error("cannot make " + path));
  if (::mount("postern", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0) {
    const Error failed = system_error("cannot mount a file system in memory on " + path);
    ::rmdir(path.c_str());
    return tl::unexpected<Error>(failed);
  }
  return std::unique_ptr<WorkFolder>(new WorkFolder(std::move(path)));
}

WorkFolder::~WorkFolder() {
  ::umount2(path_.c_str(), MNT_DETACH);
  ::rmdir(path_.c_str());
}

}  // namespace postern::sim
