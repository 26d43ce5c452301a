// SPDX-License-Identifier: Apache-2.0
#include "files/manifest_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>


namespace postern {

namespace fs = std::filesystem;

namespace {

std::string reason(const std::error_code& error) { return error.message(); }

bool has_ending(const fs::path& path, std::initializer_list<std::string_view> endings) {
  const std::string ending = path.extension().string();
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

// Adds files below a folder with one of the endings. Links to folders are not followed.
Result<void> add_files(const fs::path& folder, std::initializer_list<std::string_view> endings,
                       std::vector<std::string>& files) {
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // a dangling link is found when it is read
    if (entry->is_directory(ignored)) {
      if (entry->is_symlink(ignored)) continue;
      if (auto added = add_files(entry->path(), endings, files); !added) return added;
    } else if (has_ending(entry->path(), endings)) {
      files.push_back(entry->path().string());
    }
  }
  if (error) {
    return fail(ErrorCode::io, "cannot list the folder: " + reason(error), {folder.string(), 0, 0});
  }
  return {};
}

// Sorted by path.
Result<std::vector<std::string>> files_below(const std::string& folder,
                                             std::initializer_list<std::string_view> endings) {
  std::vector<std::string> files;
  if (auto added = add_files(folder, endings, files); !added) return fail_as(added);
  std::sort(files.begin(), files.end());
  return files;
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

tl::unexpected<Error> too_large(const std::string& path, std::size_t limit) {
  return fail(ErrorCode::invalid_input,
              "the file has more than " + std::to_string(limit) + " bytes, expected at most that many",
              {path, 0, 0});
}

// A descriptor that closes itself.
class OpenFile {
 public:
  // Not blocking, because opening a pipe waits for somebody who writes into it.
  explicit OpenFile(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int descriptor() const { return file_; }

 private:
  int file_;
};

}  // namespace

Result<std::vector<std::string>> list_files(const std::string& path,
                                            std::initializer_list<std::string_view> endings) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) {
    return fail(ErrorCode::io,
                "found no such file or folder" +
                    (error && error.value() != ENOENT ? " (" + reason(error) + ")" : std::string()),
                {path, 0, 0});
  }
  if (fs::is_directory(status)) return files_below(path, endings);
  return std::vector<std::string>{path};
}

Result<std::string> load_text_file(const std::string& path, std::size_t limit) {
  const OpenFile file(path);
  struct stat status {};
  if (file.descriptor() < 0 || fstat(file.descriptor(), &status) != 0) {
    return fail(ErrorCode::io, "cannot open the file: " + std::string(std::strerror(errno)), {path, 0, 0});
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::io, std::string("found ") + kind_of(status.st_mode) + ", expected a file",
                {path, 0, 0});
  }
  if (static_cast<std::uintmax_t>(status.st_size) > limit) return too_large(path, limit);
  // Read in pieces and stop one byte after the limit: a size that is asked for first can lie.
  std::string text;
  text.reserve(static_cast<std::size_t>(status.st_size) + 1);
  std::array<char, std::size_t{64} << 10> piece{};
  while (text.size() <= limit) {
    const ssize_t got = read(file.descriptor(), piece.data(), std::min(piece.size(), limit + 1 - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fail(ErrorCode::io, "cannot read the file: " + std::string(std::strerror(errno)), {path, 0, 0});
    }
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return too_large(path, limit);
}

Result<std::vector<std::string>> list_manifest_files(const std::string& path) {
  return list_files(path, {".yaml", ".yml", ".json"});
}

tl::expected<manifest::Manifest, manifest::Errors> load_manifests(const std::string& path,
                                                                  const manifest::ReadOptions& options) {
  const auto files = list_manifest_files(path);
  if (!files) return tl::unexpected<manifest::Errors>({files.error()});
  manifest::Manifest all;
  manifest::Errors errors;
  for (const auto& file : *files) {
    const auto text = load_text_file(file);
    if (!text) {
      errors.push_back(text.error());
      continue;
    }
    auto read = manifest::read_manifest(*text, file, options);
    if (!read) {
      for (auto& error : read.error()) errors.push_back(std::move(error));
      continue;
    }
    for (auto& object : read->objects) all.objects.push_back(std::move(object));
    for (auto& policy : read->unsupported) all.unsupported.push_back(std::move(policy));
    for (const auto& entry : read->skipped_kinds) all.skipped_kinds[entry.first] += entry.second;
  }
  if (!errors.empty()) return tl::unexpected<manifest::Errors>(std::move(errors));
  return all;
}

}  // namespace postern
