// SPDX-License-Identifier: Apache-2.0
// The one list of what the agent can be told: name, default, help, and how a value's text becomes a part
// of Settings. The command line, the environment, the configuration file, --help and docs/agent.md are
// all made from it or held to it by a test.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/settings/settings.h"

namespace postern::agent {

struct Setting {
  const char* name;          // of the flag and of the key in the file, without dashes
  const char* default_text;  // as a flag would write it
  const char* placeholder;   // of the value, for help: "PATH"; "true|false" marks a switch
  const char* group;         // heading in --help
  const char* help;
  const char* known_variable;  // the name by which others know it, beside POSTERN_...; or nullptr
  // Puts the value in; returns what was expected instead, or nothing when it has been taken.
  std::optional<std::string> (*take)(const std::string& value, Settings& settings);

  // A switch may stand bare on the command line.
  [[nodiscard]] bool is_switch() const { return std::string_view(placeholder) == "true|false"; }
  [[nodiscard]] std::string flag() const { return std::string("--") + name; }
  // "POSTERN_LOG_LEVEL" for log-level; of two variables this one wins.
  [[nodiscard]] std::string variable() const;
};

// In the order in which help shows them.
std::span<const Setting> setting_table();

// nullptr for a name that is not in the table.
const Setting* find_setting(std::string_view name);

}  // namespace postern::agent
