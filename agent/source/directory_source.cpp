// SPDX-License-Identifier: Apache-2.0
#include "agent/source/directory_source.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include "files/manifest_files.h"

namespace postern::agent {
namespace {

namespace fs = std::filesystem;

// An editor or `kubectl` writes a file in several steps; this long after the last of them it is read.
constexpr Duration kSettle = milliseconds(50);
// Where nothing tells of changes any more (the folder itself has gone), it is looked for this often.
constexpr Duration kLookAgain = seconds(5);
// Errors of one reading that are worth a line each.
constexpr std::size_t kMostErrors = 10;

constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                   IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

// A mounted ConfigMap shows its files as links into a hidden folder, which is swapped; the files of that
// folder itself, or of the one before, are not meant.
bool is_hidden(const fs::path& file, const fs::path& folder) {
  for (const auto& part : file.lexically_relative(folder)) {
    if (part.string().starts_with("..")) return true;
  }
  return false;
}

tl::expected<manifest::Manifest, manifest::Errors> read_folder(const std::string& folder) {
  const auto files = list_manifest_files(folder);
  if (!files) return tl::unexpected(manifest::Errors{files.error()});
  manifest::Manifest all;
  manifest::Errors errors;
  for (const auto& file : *files) {
    if (is_hidden(file, folder)) continue;
    auto read = load_manifests(file);
    if (!read) {
      std::move(read.error().begin(), read.error().end(), std::back_inserter(errors));
      continue;
    }
    std::move(read->objects.begin(), read->objects.end(), std::back_inserter(all.objects));
  }
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  return all;
}

}  // namespace

const char* to_string(SourceStatus::State state) {
  switch (state) {
    case SourceStatus::State::starting: return "starting";
    case SourceStatus::State::synced: return "synced";
    case SourceStatus::State::absent: return "absent";
    case SourceStatus::State::failing: return "failing";
  }
  return "";
}

DirectorySource::~DirectorySource() {
  loop_.cancel(pending_);
  if (inotify_ < 0) return;
  loop_.forget(inotify_);
  close(inotify_);
}

Result<void> DirectorySource::start(Listener& listener) {
  listener_ = &listener;
  status_.resource = folder_;
  status_.since = EventLoop::now();
  std::error_code error;
  if (!fs::is_directory(folder_, error)) {
    return fail(ErrorCode::io, "found no such folder, expected one with manifests", {folder_, 0, 0});
  }
  inotify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify_ < 0) return fail(ErrorCode::io, std::string("watching files: ") + std::strerror(errno));
  // Watched before it is read: a change in between is then one too many and not one too few.
  if (auto watched = watch_folders(); !watched) return watched;
  if (auto watched = loop_.watch(inotify_, EPOLLIN, [this](std::uint32_t) { drain(); }); !watched) {
    return watched;
  }
  loop_.post([this] { read(); });
  return {};
}

// Folders below it too; one that is watched already is watched on.
Result<void> DirectorySource::watch_folders() {
  const auto watch = [this](const std::string& folder) {
    return inotify_add_watch(inotify_, folder.c_str(), kChanges | IN_ONLYDIR) >= 0;
  };
  if (!watch(folder_)) {
    return fail(ErrorCode::io, std::string("watching the folder: ") + std::strerror(errno), {folder_, 0, 0});
  }
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    // A folder that has gone meanwhile is no loss: its going is a change.
    if (it->is_directory(ignored)) watch(it->path().string());
  }
  return {};
}

void DirectorySource::drain() {
  alignas(inotify_event) std::array<char, 16384> buffer{};
  bool changed = false;
  // What has changed is found out by reading; an overflow says no more than that.
  while (::read(inotify_, buffer.data(), buffer.size()) > 0) changed = true;
  if (changed) read_again();
}

void DirectorySource::read_again() {
  loop_.cancel(pending_);
  pending_ = loop_.after(kSettle, [this] {
    pending_ = 0;
    if (!watch_folders()) pending_ = loop_.after(kLookAgain, [this] { read_again(); });
    read();
  });
}

void DirectorySource::read() {
  auto manifest = read_folder(folder_);
  if (!manifest) return fail_reading(manifest.error());
  SnapshotStore fresh;
  std::size_t workloads = 0;
  for (const auto& object : manifest->objects) {
    if (std::holds_alternative<manifest::Workload>(object.value)) ++workloads;
    fresh.put(object);
  }
  store_ = std::move(fresh);
  synced_ = true;
  set_state(SourceStatus::State::synced);
  status_.detail.clear();
  status_.rejected = 0;
  const auto& cluster = store_.cluster();
  std::string text = folder_ + ": " + std::to_string(cluster.network_policies.size()) + " NetworkPolicies, " +
                     std::to_string(cluster.pods.size()) + " Pods";
  if (workloads != 0) {
    text += "; " + std::to_string(workloads) + " workloads left out, as only a Pod has an address";
  }
  listener_->source_notice(text);
  listener_->cluster_changed();
}

// Each reading that fails as the one before did is said once.
void DirectorySource::fail_reading(const manifest::Errors& errors) {
  const std::string detail = errors.front().to_string();
  const bool said = status_.state == SourceStatus::State::failing && status_.detail == detail &&
                    status_.rejected == errors.size();
  set_state(SourceStatus::State::failing);
  status_.detail = detail;
  status_.rejected = errors.size();
  if (said) return;
  for (std::size_t i = 0; i < errors.size() && i < kMostErrors; ++i) {
    listener_->source_warning(errors[i].to_string());
  }
  listener_->source_warning(folder_ + ": " + std::to_string(errors.size()) + " errors; " +
                            (synced_ ? "what was read before stays in force" : "nothing is enforced from it yet"));
}

void DirectorySource::set_state(SourceStatus::State state) {
  if (status_.state != state) status_.since = EventLoop::now();
  status_.state = state;
}

std::vector<SourceStatus> DirectorySource::status() const { return {status_}; }

}  // namespace postern::agent
