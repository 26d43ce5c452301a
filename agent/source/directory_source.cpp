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

// Whether several objects of the kind are one policy.
bool has_slices(std::string_view kind) { return kind == "PolicyEndpoint" || kind == "ClusterPolicyEndpoint"; }

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

std::string title(const manifest::ObjectRef& ref) {
  return ref.kind + ' ' + (ref.ns.empty() ? ref.name : ref.ns + '/' + ref.name);
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

// The version of an object that is in force, wherever it stood.
std::shared_ptr<const manifest::Object> DirectorySource::before(const manifest::ObjectRef& ref) const {
  const Held* found = nullptr;
  for (const auto& [file, objects] : files_) {
    for (const auto& held : objects) {
      if (held.object->kind != ref.kind || key_of(*held.object) != NamespacedName{ref.ns, ref.name}) continue;
      if (found == nullptr || found->stands_in || !held.stands_in) found = &held;
    }
  }
  return found == nullptr ? nullptr : found->object;
}

// "NetworkPolicy x/a is refused: b.yaml:1:7: ..."
void DirectorySource::add_errors(const manifest::PartialManifest& read, Trouble& trouble) {
  std::vector<std::string> about(read.errors.size());
  trouble.objects += read.errors.size();
  for (const auto& refused : read.refused) {
    trouble.objects -= refused.errors - 1;
    for (std::size_t i = 0; i < refused.errors; ++i) {
      about[refused.first_error + i] = title(refused.object) + " is refused: ";
    }
  }
  for (std::size_t i = 0; i < read.errors.size(); ++i) {
    trouble.errors.push_back(about[i] + read.errors[i].to_string());
  }
}

DirectorySource::Objects DirectorySource::read_file(const std::string& file, Trouble& trouble) const {
  const auto keep = [&](const std::string& what) { trouble.kept += (trouble.kept.empty() ? "" : ", ") + what; };
  manifest::PartialManifest read;
  if (const auto text = load_text_file(file); text) {
    read = manifest::read_what_is_right(*text, file);
  } else {
    read.errors.push_back(text.error());
    read.incomplete = true;
  }
  add_errors(read, trouble);
  Objects objects;
  if (read.incomplete) {
    keep("what " + file + " held");
    const auto held = files_.find(file);
    if (held != files_.end()) objects = held->second;
    for (auto& each : objects) {
      each.stands_in = true;
      if (has_slices(each.object->kind)) trouble.slices.insert(key_of(*each.object));
    }
    return objects;
  }
  for (const auto& refused : read.refused) {
    const manifest::ObjectRef& ref = refused.object;
    auto held = before(ref);
    keep(title(ref) + (held ? "" : ": left out"));
    if (!held) continue;
    if (has_slices(ref.kind)) trouble.slices.insert(key_of(*held));
    objects.push_back({std::move(held), true});
  }
  for (auto& object : read.manifest.objects) {
    objects.push_back({std::make_shared<const manifest::Object>(std::move(object)), false});
  }
  return objects;
}

void DirectorySource::read() {
  const auto paths = list_manifest_files(folder_);
  if (!paths) return tell_of_trouble({{paths.error().to_string()}, 1, "all", {}});
  Files files;
  Trouble trouble;
  for (const auto& path : *paths) {
    if (!is_hidden(path, folder_)) files[path] = read_file(path, trouble);
  }
  const bool wrong = !trouble.errors.empty();
  if (wrong) tell_of_trouble(trouble);
  if (wrong && !synced_) return;
  take(std::move(files), trouble.slices);
  if (!wrong) {
    set_state(SourceStatus::State::synced);
    status_.detail.clear();
    status_.rejected = 0;
    said_.clear();
  }
  listener_->cluster_changed();
}

void DirectorySource::take(Files files, const std::set<NamespacedName>& refused_slices) {
  files_ = std::move(files);
  store_.clear();
  std::size_t workloads = 0;
  std::set<NamespacedName> refused = refused_slices;
  for (const bool stands_in : {true, false}) {
    for (const auto& [file, objects] : files_) {
      for (const auto& held : objects) {
        if (held.stands_in != stands_in) continue;
        if (!stands_in && has_slices(held.object->kind)) refused.erase(key_of(*held.object));
        if (std::holds_alternative<manifest::Workload>(held.object->value)) ++workloads;
        store_.put(held.object);
      }
    }
  }
  store_.refuse_slices(refused);
  store_.settle();
  synced_ = true;
  const auto& cluster = store_.cluster();
  std::string text = folder_ + ": " + std::to_string(cluster.network_policies.size()) + " NetworkPolicies, ";
  if (const auto count = cluster.cluster_network_policies.size(); count != 0) {
    text += std::to_string(count) + " ClusterNetworkPolicies, ";
  }
  text += std::to_string(cluster.pods.size()) + " Pods";
  if (workloads != 0) {
    text += "; " + std::to_string(workloads) + " workloads left out, as only a Pod has an address";
  }
  listener_->source_notice(text);
  tell_of_slices();
}

void DirectorySource::tell_of_slices() {
  const auto news = store_.slices().take_news();
  status_.disagreeing = store_.slices().disagreeing() + store_.cluster_disagreeing();
  status_.disagreements = store_.slices().disagreements();
  for (const auto& error : news.errors) listener_->source_error(error);
  for (const auto& error : store_.take_cluster_news()) listener_->source_error(error);
  for (const auto& notice : news.notices) listener_->source_notice(notice);
}

// The same mistakes again are no news.
void DirectorySource::tell_of_trouble(const Trouble& trouble) {
  std::string all;
  for (const auto& error : trouble.errors) all += error + '\n';
  set_state(SourceStatus::State::failing);
  status_.detail = trouble.errors.front();
  status_.rejected = trouble.objects;
  if (all == said_) return;
  said_ = std::move(all);
  for (std::size_t i = 0; i < trouble.errors.size() && i < kMostErrors; ++i) {
    listener_->source_error(trouble.errors[i]);
  }
  const std::string kept = trouble.kept.empty() ? "" : " (" + trouble.kept + ')';
  listener_->source_error(folder_ + ": " + std::to_string(trouble.errors.size()) + " errors; " +
                          (synced_ ? "what was read before stays in force" + kept
                                   : "nothing is enforced from it yet"));
}

void DirectorySource::set_state(SourceStatus::State state) {
  if (status_.state != state) status_.since = EventLoop::now();
  status_.state = state;
}

std::vector<SourceStatus> DirectorySource::status() const { return {status_}; }

}  // namespace postern::agent
