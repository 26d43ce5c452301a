// SPDX-License-Identifier: Apache-2.0
// Every table, element by element, as names and values: for dumps. What is not in use is left out.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/compile/policy_tables.h"

namespace postern {

struct DecodedElement {
  std::string key;  // "12", "bucket 7 way 2", "ifindex 70000"
  std::vector<std::pair<std::string, std::string>> fields;
};

// In the order of the table.
std::vector<DecodedElement> elements_of(const PolicyTables& tables, TableId table);

// "allow, rule 7", "allow, established", "deny, isolated", "go on at 12".
std::string step_words(std::uint32_t step);

// "ingress", "egress" of a pn_direction.
const char* direction_name(std::uint32_t direction);

}  // namespace postern
