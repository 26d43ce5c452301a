// SPDX-License-Identifier: Apache-2.0
#include "agent/view/run_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace postern::agent {
namespace {

constexpr mode_t kOwnerOnly = 0700;
constexpr mode_t kFileMode = 0600;

tl::unexpected<Error> failed(const std::string& what, int error) {
  const ErrorCode code = error == ENOENT                      ? ErrorCode::not_found
                         : error == EACCES || error == EPERM ? ErrorCode::permission
                                                             : ErrorCode::io;
  return fail(code, what + ": " + std::strerror(error));
}

bool write_all(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

std::string default_run_folder() {
  std::error_code error;
  const auto node = std::filesystem::path(kAmazonRunFolder).parent_path();
  return std::filesystem::is_directory(node, error) ? kAmazonRunFolder : kRunFolder;
}

std::string newest_run_folder(const std::string& file) {
  std::string newest;
  timespec latest{};
  for (const std::string folder : {kRunFolder, kAmazonRunFolder}) {
    struct stat status {};
    if (stat((folder + "/" + file).c_str(), &status) != 0) continue;
    const timespec& at = status.st_mtim;
    if (!newest.empty() && (at.tv_sec < latest.tv_sec || (at.tv_sec == latest.tv_sec && at.tv_nsec < latest.tv_nsec))) {
      continue;
    }
    newest = folder;
    latest = at;
  }
  return newest;
}

// No fsync: what the file says is of use only as long as the kernel that it tells of runs.
Result<void> replace_file(const std::string& folder, const std::string& file, const std::string& text) {
  if (mkdir(folder.c_str(), kOwnerOnly) != 0 && errno != EEXIST) return failed("making folder " + folder, errno);
  const std::string path = folder + "/" + file;
  const std::string aside = path + ".new";
  const int fd = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kFileMode);
  if (fd < 0) return failed("writing " + aside, errno);
  const bool written = write_all(fd, text);
  const int error = errno;
  if (close(fd) != 0 || !written) {
    unlink(aside.c_str());
    return failed("writing " + aside, written ? errno : error);
  }
  if (rename(aside.c_str(), path.c_str()) != 0) return failed("renaming " + aside + " to " + path, errno);
  return {};
}

Result<std::vector<std::string>> remove_files(const std::string& folder, std::span<const char* const> files) {
  std::vector<std::string> removed;
  for (const std::string file : files) {
    const std::string path = folder + "/" + file;
    unlink((path + ".new").c_str());  // of one that was killed
    if (unlink(path.c_str()) == 0) {
      removed.push_back(path);
    } else if (errno != ENOENT && errno != ENOTDIR) {
      return failed("removing " + path, errno);
    }
  }
  if (!removed.empty()) rmdir(folder.c_str());
  return removed;
}

Result<std::string> read_run_file(const std::string& path, std::size_t limit) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return failed("reading " + path, errno);
  std::string text(limit + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  const bool bad = std::ferror(file) != 0;
  std::fclose(file);
  if (bad) return fail(ErrorCode::io, "reading " + path + ": it cannot be read");
  if (text.size() > limit) {
    return fail(ErrorCode::invalid_input, path + " has more than " + std::to_string(limit) + " bytes");
  }
  return text;
}

}  // namespace postern::agent
