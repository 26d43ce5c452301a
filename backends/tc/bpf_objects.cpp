// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/bpf_objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>

#include "backends/tc/libbpf_log.h"
#include "net/fd.h"

namespace postern::tc {
namespace {

std::string known_type(const char* name, std::uint32_t number) {
  return name == nullptr ? "type " + std::to_string(number) : name;
}

using NextId = int (*)(std::uint32_t, std::uint32_t*);
using OpenById = int (*)(std::uint32_t);
using Describe = Result<BpfObject> (*)(int);

// An object may go between its id and its descriptor.
Result<std::vector<BpfObject>> all_of(const char* what, NextId next, OpenById open, Describe describe) {
  std::vector<BpfObject> found;
  std::uint32_t id = 0;
  while (next(id, &id) == 0) {
    const UniqueFd fd(open(id));
    if (!fd.valid() && errno == ENOENT) continue;
    if (!fd.valid()) return fail_errno(std::string("opening ") + what + " " + std::to_string(id), errno);
    auto object = describe(fd.get());
    if (!object) return fail_as(object);
    found.push_back(std::move(*object));
  }
  if (errno != ENOENT) return fail_errno(std::string("listing every ") + what + " of the machine", errno);
  return found;
}

}  // namespace

Result<BpfObject> describe_program(int fd) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return fail_errno("asking about a program", errno);
  BpfObject object;
  object.is_program = true;
  object.id = info.id;
  object.name = info.name;
  object.type = known_type(libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(info.type)), info.type);
  constexpr const char* kDigits = "0123456789abcdef";
  for (const unsigned char byte : info.tag) {
    object.tag += kDigits[byte >> 4];
    object.tag += kDigits[byte & 15U];
  }
  object.map_ids.resize(info.nr_map_ids);
  bpf_prog_info with_maps{};
  with_maps.nr_map_ids = info.nr_map_ids;
  with_maps.map_ids = reinterpret_cast<std::uintptr_t>(object.map_ids.data());
  size = sizeof with_maps;
  if (bpf_obj_get_info_by_fd(fd, &with_maps, &size) != 0) return fail_errno("asking about a program's maps", errno);
  return object;
}

Result<BpfObject> describe_map(int fd) {
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return fail_errno("asking about a map", errno);
  BpfObject object;
  object.id = info.id;
  object.name = info.name;
  object.type = known_type(libbpf_bpf_map_type_str(static_cast<bpf_map_type>(info.type)), info.type);
  object.key_size = info.key_size;
  object.value_size = info.value_size;
  object.max_entries = info.max_entries;
  return object;
}

Result<std::vector<BpfObject>> all_programs() {
  return all_of("program", bpf_prog_get_next_id, bpf_prog_get_fd_by_id, describe_program);
}

Result<std::vector<BpfObject>> all_maps() {
  return all_of("map", bpf_map_get_next_id, bpf_map_get_fd_by_id, describe_map);
}

}  // namespace postern::tc
