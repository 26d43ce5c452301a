// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/pin_store.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "backends/tc/bpffs.h"
#include "backends/tc/libbpf_log.h"
#include "engine/compile/policy_tables.h"

namespace postern::tc {
namespace {

constexpr std::string_view kGeneration = "generation-";
constexpr std::string_view kRemoving = "removing-";
constexpr std::string_view kBuilding = "building";
constexpr std::string_view kOurs = "pn_";  // begins the name of every program and map of ours

// The number behind a prefix: "generation-12" -> 12.
std::optional<std::uint32_t> number_behind(std::string_view prefix, std::string_view name) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// What a map of this version is.
struct MapShape {
  const char* name;
  std::uint32_t type;
  std::uint32_t key_size;
  std::uint32_t value_size;
  std::uint32_t entries;  // 0: any number
};

constexpr MapShape kNode{"pn_node", BPF_MAP_TYPE_ARRAY, 4, sizeof(pn_node), 1};
constexpr MapShape kSlots{"pn_slots", BPF_MAP_TYPE_ARRAY, 4, sizeof(pn_u64), PN_SLOTS};
constexpr MapShape kSlotsFar{"pn_slots_far", BPF_MAP_TYPE_HASH, 4, sizeof(pn_u64), 0};
constexpr MapShape kPods{"pn_pods", BPF_MAP_TYPE_ARRAY, 4, sizeof(pn_pod), 0};
constexpr MapShape kConnections{"pn_ct", BPF_MAP_TYPE_ARRAY, 4, sizeof(pn_ct_bucket), 0};
constexpr MapShape kCounters{"pn_counters", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(pn_counter), PN_COUNTERS};
constexpr MapShape kEvents{"pn_events", BPF_MAP_TYPE_RINGBUF, 0, 0, 0};
constexpr MapShape kMonitor{"pn_monitor", BPF_MAP_TYPE_RINGBUF, 0, 0, 0};

std::string describe(std::uint32_t type, std::uint32_t key, std::uint32_t value, std::uint32_t entries) {
  std::string text = std::string(libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type))) + " with keys of " +
                     std::to_string(key) + " and values of " + std::to_string(value) + " bytes";
  if (entries != 0) text += ", " + std::to_string(entries) + " entries";
  return text;
}

// Errors: not_found, invalid_input.
Result<std::uint32_t> open_map(const std::string& folder, const MapShape& shape, UniqueFd& into) {
  const std::string path = folder + "/" + shape.name;
  auto fd = open_pin(path, PinKind::map);
  if (!fd) return fail_as(fd);
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd->get(), &info, &size) != 0) return fail_errno("asking about " + path, errno);
  const std::uint32_t entries = shape.entries == 0 ? 0 : info.max_entries;
  if (info.type != shape.type || info.key_size != shape.key_size || info.value_size != shape.value_size ||
      entries != shape.entries) {
    return fail(ErrorCode::invalid_input,
                path + " is a map of type " + describe(info.type, info.key_size, info.value_size, entries) +
                    "; this program's is " +
                    describe(shape.type, shape.key_size, shape.value_size, shape.entries) +
                    ". What it judged stays in force; uninstall, or remove the pin, to start anew");
  }
  into = std::move(*fd);
  return info.max_entries;
}

Result<PinnedGeneration> open_generation(const std::string& folder, std::uint32_t number) {
  PinnedGeneration found;
  found.number = number;
  const std::pair<const MapShape*, UniqueFd*> maps[] = {
      {&kNode, &found.node},         {&kSlots, &found.slots},       {&kSlotsFar, &found.slots_far},
      {&kPods, &found.pods},         {&kCounters, &found.counters}, {&kEvents, &found.events},
      {&kMonitor, &found.monitor},   {&kConnections, &found.connections}};
  for (const auto& [shape, into] : maps) {
    auto entries = open_map(folder, *shape, *into);
    if (!entries) return fail_as(entries);
    if (shape == &kConnections) found.conntrack_buckets = *entries;
  }
  if (!std::has_single_bit(found.conntrack_buckets)) {
    return fail(ErrorCode::invalid_input, folder + "/pn_ct has " + std::to_string(found.conntrack_buckets) +
                                              " buckets; expected a power of two");
  }
  return found;
}

// Who holds the lock on a folder: "process 12"; empty: nobody that can be seen.
std::string holder_of(const struct stat& folder) {
  std::array<char, 64> place_of_folder{};
  std::snprintf(place_of_folder.data(), place_of_folder.size(), "%02x:%02x:%lu", major(folder.st_dev),
                minor(folder.st_dev), static_cast<unsigned long>(folder.st_ino));
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, type, advisory, mode, process, place;
    if (!(fields >> number >> type >> advisory >> mode >> process >> place)) continue;
    if (type == "FLOCK" && place == place_of_folder.data()) return "process " + process;
  }
  return "";
}

}  // namespace

std::string holder_of_pin_path(const std::string& path) {
  struct stat folder {};
  return stat(path.c_str(), &folder) == 0 ? holder_of(folder) : "";
}

// The folder may be removed and made again between opening and locking it.
Result<UniqueFd> lock_pin_path(const std::string& path) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno("opening " + path, errno);
    struct stat opened {};
    if (fstat(fd.get(), &opened) != 0) return fail_errno("looking at " + path, errno);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return fail_errno("locking " + path, errno);
      const std::string holder = holder_of(opened);
      return fail(ErrorCode::invalid_input, "pin path " + path + " is in use by " +
                                                (holder.empty() ? "somebody" : holder) + ": only one agent may enforce with these pins; stop that one");
    }
    struct stat there {};
    if (stat(path.c_str(), &there) == 0 && there.st_ino == opened.st_ino) return fd;
    if (auto made = make_folder(path); !made) return fail_as(made);
  }
}

Result<std::vector<std::string>> version_folders(const std::string& path) {
  auto names = names_in(path);
  if (!names) return fail_as(names);
  std::vector<std::string> folders;
  for (const std::string& name : *names) {
    if (number_behind("v", name)) folders.push_back(path + "/" + name);
  }
  return folders;
}

Result<std::vector<std::uint32_t>> pinned_interfaces(const std::string& version_folder) {
  auto names = names_in(version_folder + "/interfaces");
  if (!names) return fail_as(names);
  std::vector<std::uint32_t> indexes;
  for (const std::string& name : *names) {
    if (const auto number = number_behind("", name)) indexes.push_back(*number);
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

Result<std::vector<std::string>> generation_folders(const std::string& version_folder) {
  auto names = names_in(version_folder);
  if (!names) return fail_as(names);
  std::vector<std::string> folders;
  for (const std::string& name : *names) {
    if (name == kBuilding || number_behind(kRemoving, name) || number_behind(kGeneration, name)) {
      folders.push_back(version_folder + "/" + name);
    }
  }
  return folders;
}

Result<bool> remove_generation(const std::string& folder) {
  auto names = names_in(folder);
  if (!names) return fail_as(names);
  for (const std::string& name : *names) {
    if (name.rfind(kOurs, 0) != 0 || folder_exists(folder + "/" + name)) continue;
    if (auto removed = remove_pin(folder + "/" + name); !removed) return fail_as(removed);
  }
  return remove_folder(folder);
}

PinStore::PinStore(std::string path) : path_(std::move(path)) {}

// Explicitly: a child of this process may have inherited the descriptor.
PinStore::~PinStore() {
  if (lock_.valid()) flock(lock_.get(), LOCK_UN);
}

std::string PinStore::version_folder() const { return path_ + "/v" + std::to_string(PN_ABI_VERSION); }

std::string PinStore::interface_folder(std::uint32_t ifindex) const {
  return version_folder() + "/interfaces/" + std::to_string(ifindex);
}

Result<std::unique_ptr<PinStore>> PinStore::open(const std::string& path) {
  if (auto good = require_bpffs(path); !good) return fail_as(good);
  std::unique_ptr<PinStore> store(new PinStore(path));
  if (auto made = make_folder(path); !made) return fail_as(made);
  auto locked = lock_pin_path(path);
  if (!locked) return fail_as(locked);
  store->lock_ = std::move(*locked);
  if (auto made = make_folder(store->version_folder()); !made) return fail_as(made);
  if (auto read = store->read_generations(); !read) return fail_as(read);
  return store;
}

Result<void> PinStore::read_generations() {
  auto folders = generation_folders(version_folder());
  if (!folders) return fail_as(folders);
  for (const std::string& folder : *folders) {
    const auto number = number_behind(version_folder() + "/" + std::string(kGeneration), folder);
    if (!number) {
      // Of a process that was killed: nothing is attached to it, or not any more.
      if (auto removed = remove_generation(folder); !removed) return fail_as(removed);
      continue;
    }
    last_number_ = std::max(last_number_, *number);
    auto generation = open_generation(folder, *number);
    if (generation) {
      generations_.push_back(std::move(*generation));
    } else if (generation.error().code == ErrorCode::not_found) {
      notes_.push_back("pins: " + generation.error().message +
                       ", although Postern pins a generation whole; it is not taken over");
    } else {
      return fail_as(generation);
    }
  }
  std::sort(generations_.begin(), generations_.end(),
            [](const auto& a, const auto& b) { return a.number > b.number; });
  return {};
}

Result<std::map<std::uint32_t, PinnedHooks>> PinStore::take_interfaces() {
  std::map<std::uint32_t, PinnedHooks> interfaces;
  auto versions = version_folders(path_);
  if (!versions) return fail_as(versions);
  for (const std::string& version : *versions) {
    auto indexes = pinned_interfaces(version);
    if (!indexes) return fail_as(indexes);
    for (const std::uint32_t ifindex : *indexes) {
      const std::string folder = version + "/interfaces/" + std::to_string(ifindex);
      for (const Hook hook : kHooks) {
        auto attachments = pinned_attachments({ifindex, hook, folder});
        if (!attachments) return fail_as(attachments);
        for (auto& attachment : *attachments) {
          if (attachment->alive()) {
            interfaces[ifindex][static_cast<std::size_t>(hook)].push_back(std::move(attachment));
          } else if (auto removed = attachment->take_off(); !removed) {
            return fail_as(removed);
          }
        }
      }
      if (auto removed = remove_folder(folder); !removed) return fail_as(removed);
    }
  }
  return interfaces;
}

Result<void> PinStore::drop_interface(std::uint32_t ifindex) {
  auto versions = version_folders(path_);
  if (!versions) return fail_as(versions);
  for (const std::string& version : *versions) {
    auto removed = remove_folder(version + "/interfaces/" + std::to_string(ifindex));
    if (!removed) return fail_as(removed);
  }
  return {};
}

Result<void> PinStore::publish(const bpf_object* object) {
  const std::string building = version_folder() + "/" + std::string(kBuilding);
  // A leftover of our own, if an attempt failed.
  if (auto removed = remove_generation(building); !removed) return fail_as(removed);
  if (auto made = make_folder(building); !made) return made;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    auto pinned = make_pin(bpf_program__fd(program), building + "/" + bpf_program__name(program));
    if (!pinned) return pinned;
  }
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    if (name.find('.') != std::string::npos) continue;  // of the compiler; the programs hold it
    auto pinned = make_pin(bpf_map__fd(map), building + "/" + name);
    if (!pinned) return pinned;
  }
  const std::string folder =
      version_folder() + "/" + std::string(kGeneration) + std::to_string(last_number_ + 1);
  if (auto renamed = rename_folder(building, folder); !renamed) return renamed;
  ++last_number_;
  own_folder_ = folder;
  return {};
}

Result<void> PinStore::retire_others() {
  generations_.clear();
  auto versions = version_folders(path_);
  if (!versions) return fail_as(versions);
  for (const std::string& version : *versions) {
    auto folders = generation_folders(version);
    if (!folders) return fail_as(folders);
    for (const std::string& folder : *folders) {
      if (folder == own_folder_) continue;
      std::string doomed = folder;
      if (const auto number = number_behind(version + "/" + std::string(kGeneration), folder)) {
        doomed = version + "/" + std::string(kRemoving) + std::to_string(*number);
        if (auto renamed = rename_folder(folder, doomed); !renamed) return renamed;
      }
      auto removed = remove_generation(doomed);
      if (!removed) return fail_as(removed);
      if (!*removed) notes_.push_back("pins: " + doomed + " has something that is not Postern's; it stays");
    }
    if (version == version_folder()) continue;
    auto indexes = pinned_interfaces(version);
    if (!indexes) return fail_as(indexes);
    for (const std::uint32_t ifindex : *indexes) {
      auto removed = remove_folder(version + "/interfaces/" + std::to_string(ifindex));
      if (!removed) return fail_as(removed);
    }
    for (const std::string& folder : {version + "/interfaces", version}) {
      if (auto removed = remove_folder(folder); !removed) return fail_as(removed);
    }
  }
  return {};
}

std::vector<std::string> PinStore::take_notes() { return std::exchange(notes_, {}); }

}  // namespace postern::tc
