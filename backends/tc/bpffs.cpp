// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

constexpr mode_t kOwnerOnly = 0700;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// "bpf-map", "bpf-prog", "bpf-link" or, of older kernels, "bpf_link".
bool is_of_kind(int fd, PinKind kind) {
  std::array<char, 128> text{};
  const std::string place = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(place.c_str(), text.data(), text.size());
  const std::string_view target(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  const auto says = [&](std::string_view word) { return target.find(word) != std::string_view::npos; };
  switch (kind) {
    case PinKind::map: return says("bpf-map");
    case PinKind::program: return says("bpf-prog");
    case PinKind::link: return says("bpf-link") || says("bpf_link");
  }
  return false;
}

}  // namespace

std::string_view name_of(PinKind kind) {
  switch (kind) {
    case PinKind::map: return "a map";
    case PinKind::program: return "a program";
    case PinKind::link: return "a link";
  }
  return "";
}

Result<void> require_bpffs(const std::string& path) {
  if (path.empty() || path.front() != '/' || path.back() == '/') {
    return fail(ErrorCode::invalid_input,
                "pin path \"" + path + "\": expected an absolute path that does not end in a slash");
  }
  std::string there = path;
  struct statfs status {};
  int refused = 0;
  while (statfs(there.c_str(), &status) != 0) {
    if (errno == EPERM) refused = EPERM;  // of a BPF file system: it looks up no name with a dot
    if ((errno != ENOENT && errno != EPERM) || there == "/") return fail_errno("looking at " + there, errno);
    there = parent_of(there);
  }
  if (static_cast<unsigned long>(status.f_type) == BPF_FS_MAGIC) {
    if (path.find('.', there.size()) != std::string::npos) {
      return fail(ErrorCode::invalid_input,
                  "pin path " + path + ": names of a BPF file system cannot have a dot");
    }
    return refused == 0 ? Result<void>{} : fail_errno("looking at " + path, refused);
  }
  return fail(ErrorCode::unsupported,
              "pin path " + path + ": " + there +
                  " is not on a BPF file system, and without one enforcement would end with this process; "
                  "mount one on the host with: mount -t bpf bpf /sys/fs/bpf");
}

Result<void> make_folder(const std::string& path) {
  if (mkdir(path.c_str(), kOwnerOnly) == 0) return {};
  if (errno == EEXIST && folder_exists(path)) return {};
  if (errno == ENOENT && path != "/") {
    if (auto made = make_folder(parent_of(path)); !made) return made;
    if (mkdir(path.c_str(), kOwnerOnly) == 0) return {};
  }
  return fail_errno("making folder " + path, errno);
}

bool folder_exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<bool> remove_folder(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  return fail_errno("removing folder " + path, errno);
}

Result<void> rename_folder(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  return fail_errno("renaming " + from + " to " + to, errno);
}

Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (!open) {
    if (errno == ENOENT) return names;
    return fail_errno("reading folder " + folder, errno);
  }
  errno = 0;
  while (const dirent* entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return fail_errno("reading folder " + folder, errno);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> make_pin(int fd, const std::string& path) {
  LibbpfLog quiet;
  if (bpf_obj_pin(fd, path.c_str()) == 0) return {};
  return fail_errno("pinning " + path, errno);
}

Result<UniqueFd> open_pin(const std::string& path, PinKind kind) {
  LibbpfLog quiet;
  UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) {
    if (errno == ENOENT) return fail(ErrorCode::not_found, path + ": there is no such pin");
    return fail_errno("opening pin " + path, errno);
  }
  if (is_of_kind(fd.get(), kind)) return fd;
  return fail(ErrorCode::invalid_input, path + " is not " + std::string(name_of(kind)) +
                                            ", as Postern would have pinned it there: somebody else's? "
                                            "Remove it");
}

Result<void> remove_pin(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno("removing pin " + path, errno);
}

}  // namespace postern::tc
