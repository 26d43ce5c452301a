// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/amazon_takeover.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "backends/tc/bpffs.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

// <pod>_handle_ingress, ...; of endings that end alike the longer comes first.
constexpr std::array<std::string_view, 2> kProgramEndings{"_handle_ingress", "_handle_egress"};
constexpr std::array<std::string_view, 6> kMapEndings{"_cp_ingress_map",        "_cp_egress_map",
                                                      "_ingress_pod_state_map", "_egress_pod_state_map",
                                                      "_ingress_map",           "_egress_map"};
constexpr std::array<std::string_view, 2> kSharedMaps{"global_aws_conntrack_map", "global_policy_events"};

// What a name says before one of the endings; empty: it has none of them.
template <std::size_t Count>
std::string pod_of(std::string_view name, const std::array<std::string_view, Count>& endings) {
  for (const std::string_view ending : endings) {
    if (name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending) {
      return std::string(name.substr(0, name.size() - ending.size()));
    }
  }
  return {};
}

Result<std::uint32_t> program_id_of(int program_fd, const std::string& path) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size) == 0) return info.id;
  return fail_errno("asking about " + path, errno);
}

}  // namespace

Result<AmazonTakeover> AmazonTakeover::open(const std::string& folder) {
  auto filters = Filters::open();
  if (!filters) return fail_as(filters);
  AmazonTakeover takeover(folder, std::move(*filters));
  if (auto read = takeover.read_programs(); !read) return fail_as(read);
  if (auto found = takeover.find_users(); !found) return fail_as(found);
  return takeover;
}

Result<void> AmazonTakeover::read_programs() {
  const auto names = names_in(folder_ + "/programs");
  if (!names) return fail_as(names);
  for (const std::string& name : *names) {
    if (pod_of(name, kProgramEndings).empty()) continue;
    const std::string path = folder_ + "/programs/" + name;
    const auto program = open_pin(path, PinKind::program);
    if (!program) {
      if (program.error().code == ErrorCode::invalid_input) continue;  // somebody else's
      return fail_as(program);
    }
    const auto id = program_id_of(program->get(), path);
    if (!id) return fail_as(id);
    programs_[*id].insert(name);
  }
  return {};
}

Result<void> AmazonTakeover::find_users() {
  if (programs_.empty()) return {};
  for (const std::uint32_t ifindex : interfaces_here()) {
    const auto filters = filters_.of(ifindex);
    if (!filters) return fail_as(filters);
    for (const Filter& filter : *filters) {
      if (programs_.contains(filter.program_id)) interfaces_[filter.program_id].insert(ifindex);
    }
  }
  return {};
}

Result<std::vector<std::string>> AmazonTakeover::take_over(std::uint32_t ifindex) {
  std::vector<std::string> removed;
  const auto filters = filters_.of(ifindex);
  if (!filters) return fail_as(filters);
  for (const Filter& filter : *filters) {
    if (filter.kind != "bpf" || !programs_.contains(filter.program_id)) continue;
    if (auto gone = filters_.remove(filter); !gone) return fail_as(gone);
    removed.push_back(std::string(name_of(filter.hook)) + " of interface " + std::to_string(ifindex) +
                      ": filter " + filter.name + " of program " + std::to_string(filter.program_id));
  }
  if (auto done = remove_unused_programs(removed); !done) return fail_as(done);
  if (auto done = remove_unused_maps(removed); !done) return fail_as(done);
  return removed;
}

// Interfaces go, and nobody says so: look again at those that ran the program.
Result<bool> AmazonTakeover::still_used(std::uint32_t program_id) {
  auto& users = interfaces_[program_id];
  while (!users.empty()) {
    const auto filters = filters_.of(*users.begin());
    if (!filters) return fail_as(filters);
    for (const Filter& filter : *filters) {
      if (filter.kind == "bpf" && filter.program_id == program_id) return true;
    }
    users.erase(users.begin());
  }
  return false;
}

Result<void> AmazonTakeover::remove_unused_programs(std::vector<std::string>& removed) {
  for (auto program = programs_.begin(); program != programs_.end();) {
    const auto used = still_used(program->first);
    if (!used) return fail_as(used);
    if (*used) {
      ++program;
      continue;
    }
    for (const std::string& name : program->second) {
      const std::string path = folder_ + "/programs/" + name;
      if (auto done = remove_pin(path); !done) return done;
      removed.push_back(path);
    }
    program = programs_.erase(program);
  }
  return {};
}

// A pod's maps stay while one of its two programs does. Also those are found whose programs an earlier
// process removed before it was killed.
Result<void> AmazonTakeover::remove_unused_maps(std::vector<std::string>& removed) {
  std::set<std::string> staying;
  for (const auto& [id, names] : programs_) {
    for (const std::string& name : names) staying.insert(pod_of(name, kProgramEndings));
  }
  const auto names = names_in(folder_ + "/maps");
  if (!names) return fail_as(names);
  for (const std::string& name : *names) {
    const bool shared = std::find(kSharedMaps.begin(), kSharedMaps.end(), name) != kSharedMaps.end();
    const std::string pod = pod_of(name, kMapEndings);
    if (shared ? !programs_.empty() : pod.empty() || staying.contains(pod)) continue;
    const std::string path = folder_ + "/maps/" + name;
    const auto map = open_pin(path, PinKind::map);
    if (!map && map.error().code == ErrorCode::invalid_input) continue;  // somebody else's
    if (!map) return fail_as(map);
    if (auto done = remove_pin(path); !done) return done;
    removed.push_back(path);
  }
  return {};
}

}  // namespace postern::tc
