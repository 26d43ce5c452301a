// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/pinned_node.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "backends/tc/bpffs.h"
#include "backends/tc/conntrack_table.h"
#include "backends/tc/fragment_table.h"
#include "backends/tc/kernel_tables.h"
#include "backends/tc/libbpf_log.h"
#include "backends/tc/pin_store.h"

namespace postern::tc {
namespace {

constexpr std::string_view kGenerationFolder = "/generation-";
// A generation may be replaced while it is opened, and a policy while it is read.
constexpr int kAttempts = 20;

// Of ".../generation-12"; 0: it is not one that is in force.
std::uint32_t number_of_generation(const std::string& folder) {
  const auto at = folder.rfind(kGenerationFolder);
  std::uint32_t number = 0;
  if (at == std::string::npos) return 0;
  const char* digits = folder.data() + at + kGenerationFolder.size();
  std::from_chars(digits, folder.data() + folder.size(), number);
  return number;
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

tl::unexpected<Error> nothing_of_this_version(const std::string& path, const std::vector<std::string>& versions) {
  if (versions.empty()) {
    return fail(ErrorCode::not_found, "nothing of Postern is pinned in " + path +
                                          ": no agent has put policy in force on this node, or its pins are "
                                          "elsewhere (--pin-path)");
  }
  std::string names;
  for (const auto& version : versions) names += (names.empty() ? "" : ", ") + last_part(version);
  return fail(ErrorCode::unsupported,
              path + " holds pins of version " + names + ", this program reads v" +
                  std::to_string(PN_ABI_VERSION) +
                  ": use the postern of the agent that runs here (kubectl exec into its pod, or /proc/PID/exe)");
}

// The folder of the newest generation.
Result<std::string> newest_generation(const std::string& path) {
  const auto versions = version_folders(path);
  if (!versions) return fail_as(versions);
  const std::string version = path + "/v" + std::to_string(PN_ABI_VERSION);
  if (std::find(versions->begin(), versions->end(), version) == versions->end()) {
    return nothing_of_this_version(path, *versions);
  }
  const auto folders = generation_folders(version);
  if (!folders) return fail_as(folders);
  std::string newest;
  std::uint32_t highest = 0;
  for (const auto& folder : *folders) {
    const std::uint32_t number = number_of_generation(folder);
    if (number <= highest) continue;
    highest = number;
    newest = folder;
  }
  if (!newest.empty()) return newest;
  return fail(ErrorCode::not_found, "no policy is in force yet: " + version +
                                        " has no generation; the agent pins its first one with the first pod");
}

std::string kind_at(Hook hook, const std::vector<std::string>& names) {
  const std::string name = name_of(hook);
  if (std::find(names.begin(), names.end(), name) != names.end()) return "tcx";
  return std::find(names.begin(), names.end(), name + "-clsact") != names.end() ? "clsact" : "";
}

}  // namespace

Result<PinnedNode> PinnedNode::open(const std::string& pin_path) {
  if (auto good = require_bpffs(pin_path); !good) return fail_as(good);
  PinnedNode node;
  node.pin_path_ = pin_path;
  for (int attempt = 1;; ++attempt) {
    auto folder = newest_generation(pin_path);
    if (!folder) return fail_as(folder);
    node.folder_ = std::move(*folder);
    auto opened = node.open_generation();
    if (opened) break;
    if (opened.error().code != ErrorCode::not_found || attempt == kAttempts) return fail_as(opened);
  }
  if (auto sized = node.size_tables(); !sized) return fail_as(sized);
  return node;
}

Result<void> PinnedNode::open_generation() {
  maps_.clear();
  programs_.clear();
  const auto names = names_in(folder_);
  if (!names) return fail_as(names);
  for (const auto& name : *names) {
    auto map = open_pin(folder_ + "/" + name, PinKind::map);
    if (map) {
      maps_.emplace(name, std::move(*map));
      continue;
    }
    if (map.error().code != ErrorCode::invalid_input) return fail_as(map);
    auto program = open_pin(folder_ + "/" + name, PinKind::program);
    if (!program) return fail_as(program);
    programs_.emplace(name, std::move(*program));
  }
  for (const char* name : {"pn_node", "pn_ct", "pn_fragments", "pn_counters"}) {
    if (!maps_.contains(name)) return fail(ErrorCode::not_found, folder_ + " has no map " + name);
  }
  return {};
}

Result<void> PinnedNode::size_tables() {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const TableShape shape = shape_of(static_cast<TableId>(i), sizes_);
    const std::string name = "pn_" + std::string(shape.name);
    const int fd = map_fd(name);
    if (fd < 0) continue;
    const auto map = describe_map(fd);
    if (!map) return fail_as(map);
    if (map->value_size != shape.value_size || (shape.is_hash && map->key_size != shape.key_size)) {
      return fail(ErrorCode::unsupported,
                  folder_ + "/" + name + " has values of " + std::to_string(map->value_size) +
                      " bytes, this program's " + std::to_string(shape.value_size) +
                      ": another build made it; use the postern of the agent that runs here");
    }
    sizes_.entries[i] = map->max_entries;
  }
  const auto connections = describe_map(map_fd("pn_ct"));
  if (!connections) return fail_as(connections);
  sizes_.conntrack_buckets = connections->max_entries;
  const auto fragments = describe_map(map_fd("pn_fragments"));
  if (!fragments) return fail_as(fragments);
  sizes_.fragment_buckets = fragments->max_entries;
  return {};
}

int PinnedNode::map_fd(const std::string& name) const {
  const auto found = maps_.find(name);
  return found == maps_.end() ? -1 : found->second.get();
}

int PinnedNode::program_fd(const std::string& name) const {
  const auto found = programs_.find(name);
  return found == programs_.end() ? -1 : found->second.get();
}

Result<std::uint32_t> PinnedNode::epoch() const {
  const std::uint32_t zero = 0;
  pn_node node{};
  if (bpf_map_lookup_elem(map_fd("pn_node"), &zero, &node) != 0) return fail_errno("reading pn_node", errno);
  return node.epoch;
}

Result<PolicyTables> PinnedNode::tables() const {
  std::array<int, kTableCount> fds{};
  for (std::size_t i = 0; i < kTableCount; ++i) {
    fds[i] = map_fd("pn_" + std::string(name_of(static_cast<TableId>(i))));
  }
  KernelTables tables;
  if (auto opened = tables.open_to_read(fds, sizes_); !opened) return fail_as(opened);
  for (int attempt = 1;; ++attempt) {
    const auto before = epoch();
    auto read = tables.read(sizes_);
    const auto after = epoch();
    if (!read || !before || !after) return read ? (before ? fail_as(after) : fail_as(before)) : read;
    if (*before == *after || attempt == kAttempts) return read;
  }
}

Result<std::vector<ConntrackEntry>> PinnedNode::connections() const {
  ConntrackTable table;
  table.open({map_fd("pn_ct"), sizes_.conntrack_buckets, 0, {}});
  return table.read();
}

Result<std::vector<pn_fragment_way>> PinnedNode::fragments() const {
  return read_fragments(map_fd("pn_fragments"), sizes_.fragment_buckets);
}

ConntrackTable& PinnedNode::sweepable() {
  if (!sweepable_) {
    sweepable_ = std::make_unique<ConntrackTable>();
    sweepable_->open({map_fd("pn_ct"), sizes_.conntrack_buckets, 0, {}});
  }
  return *sweepable_;
}

Result<void> PinnedNode::forget_connections(EndpointId endpoint) {
  if (auto forgotten = sweepable().forget(endpoint); !forgotten || endpoint.value != 0) return forgotten;
  return forget_fragments(map_fd("pn_fragments"), sizes_.fragment_buckets);
}

Result<void> PinnedNode::age_connections(std::uint32_t ticks) {
  if (auto aged = sweepable().age(ticks); !aged) return aged;
  return age_fragments(map_fd("pn_fragments"), sizes_.fragment_buckets, ticks);
}

Result<pn_counter> PinnedNode::counter(std::uint32_t index) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno("counting CPUs", -cpus);
  std::vector<pn_counter> by_cpu(static_cast<std::size_t>(cpus));
  if (bpf_map_lookup_elem(map_fd("pn_counters"), &index, by_cpu.data()) != 0) {
    return fail_errno("reading pn_counters", errno);
  }
  pn_counter sum{};
  for (const pn_counter& one : by_cpu) {
    sum.packets += one.packets;
    sum.bytes += one.bytes;
  }
  return sum;
}

Result<std::vector<pn_counter>> PinnedNode::counters() const {
  std::vector<pn_counter> sums;
  for (std::uint32_t index = 0; index < PN_COUNTERS; ++index) {
    const auto sum = counter(index);
    if (!sum) return fail_as(sum);
    sums.push_back(*sum);
  }
  return sums;
}

Result<std::vector<PinnedInterface>> PinnedNode::interfaces() const {
  const std::string version = pin_path_ + "/v" + std::to_string(PN_ABI_VERSION);
  const auto indexes = pinned_interfaces(version);
  if (!indexes) return fail_as(indexes);
  std::vector<PinnedInterface> found;
  for (const std::uint32_t ifindex : *indexes) {
    const std::string folder = version + "/interfaces/" + std::to_string(ifindex);
    const auto names = names_in(folder);
    if (!names) return fail_as(names);
    PinnedInterface interface{ifindex, {}};
    for (const Hook hook : kHooks) interface.kinds[static_cast<std::size_t>(hook)] = kind_at(hook, *names);
    found.push_back(std::move(interface));
  }
  return found;
}

Result<std::vector<BpfObject>> PinnedNode::objects() const {
  std::vector<BpfObject> found;
  const auto take = [&](const std::map<std::string, UniqueFd>& pins, auto describe) -> Result<void> {
    for (const auto& [name, fd] : pins) {
      auto object = describe(fd.get());
      if (!object) return fail_as(object);
      object->pin = folder_ + "/" + name;
      found.push_back(std::move(*object));
    }
    return {};
  };
  if (auto taken = take(programs_, describe_program); !taken) return fail_as(taken);
  if (auto taken = take(maps_, describe_map); !taken) return fail_as(taken);
  return found;
}

}  // namespace postern::tc
