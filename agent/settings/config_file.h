// SPDX-License-Identifier: Apache-2.0
// The file of --config: a YAML mapping of names of settings to values, as text with its place. What a
// value means is the table's business.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::agent {

struct ConfigEntry {
  std::string name;  // of a setting; whether there is one is not yet known
  Location name_place;
  std::string value;
  Location value_place;
};

struct ConfigFile {
  std::vector<ConfigEntry> entries;  // in the order written
  std::vector<Error> errors;         // values that are no scalars
};

// An empty file has no entries. Errors: io when it cannot be read (the message names it), invalid_input
// when it is not YAML, or no single mapping (the location does).
Result<ConfigFile> read_config_file(const std::string& path);

}  // namespace postern::agent
