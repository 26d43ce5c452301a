// SPDX-License-Identifier: Apache-2.0
// Programs and maps as the kernel describes them: those behind descriptors, and with CAP_SYS_ADMIN all of
// the machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::tc {

struct BpfObject {
  bool is_program = false;
  std::uint32_t id = 0;
  std::string name;  // as the kernel has it: 15 letters at most; may be empty
  std::string type;  // "sched_cls", "lpm_trie"
  std::string pin;   // path, where it was found by one
  // Of a program.
  std::string tag;                     // of its instructions
  std::vector<std::uint32_t> map_ids;  // in the kernel's order
  // Of a map.
  std::uint32_t key_size = 0;    // bytes
  std::uint32_t value_size = 0;  // bytes
  std::uint32_t max_entries = 0;
};

// Errors: io.
Result<BpfObject> describe_program(int fd);
Result<BpfObject> describe_map(int fd);

// All that are loaded, by id. Errors: permission, without CAP_SYS_ADMIN; io.
Result<std::vector<BpfObject>> all_programs();
Result<std::vector<BpfObject>> all_maps();

}  // namespace postern::tc
