// SPDX-License-Identifier: Apache-2.0
// Settings from what was given: a flag over a variable of the environment over the file of --config over
// the default. Everything that was given is checked, also what something else overrides, and everything
// that is wrong is told at once: where it was set, what was found, what was expected.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/settings/settings.h"
#include "engine/base/result.h"

namespace postern::agent {

struct FlagValue {
  std::string name;   // without dashes
  std::string value;  // a bare switch has "true"
};

struct SettingsInput {
  std::vector<FlagValue> flags;         // in the order given; of two for one name the later wins
  std::vector<std::string> unexpected;  // words of the command line that belong to no flag, as written
  std::function<std::optional<std::string>(const std::string&)> variable;  // of the environment
};

struct SettingsOutcome {
  Settings settings;                  // to be used only without errors
  std::vector<Error> errors;          // flags, then variables, then the file, then what does not fit together
  std::vector<std::string> warnings;  // what the agent goes on with all the same
};

SettingsOutcome read_settings(const SettingsInput& input);

// A variable of this process, for SettingsInput.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace postern::agent
