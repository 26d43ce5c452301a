// SPDX-License-Identifier: Apache-2.0
// `postern agent`: the node agent. Its flags are the table of agent/settings; here they become settings,
// the log is set up, and the agent runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/settings/read_settings.h"

namespace postern::cli {

// The command line as it came, told apart but not yet understood.
struct AgentOptions {
  std::vector<agent::FlagValue> flags;
  std::vector<std::string> unexpected;  // words that belong to no flag
};

// Exit status: 2 when settings or log file are wrong, else run_agent()'s.
int run_agent_command(const AgentOptions& options);

// The agent itself, until it is told to end. `read_again` reads the settings as they are now, for a log
// level that changes (agent/log/level_signals.h). Exit status: 0 ended as told, 2 could not start.
int run_agent(const agent::Settings& settings, const std::function<agent::SettingsOutcome()>& read_again);

}  // namespace postern::cli
