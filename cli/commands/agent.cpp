// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/agent.h"

#include "agent/log/log.h"
#include "cli/commands/output.h"

namespace postern::cli {

int run_agent_command(const AgentOptions& options) {
  const auto read = [&options] {
    return agent::read_settings({options.flags, options.unexpected, agent::environment_variable});
  };
  const agent::SettingsOutcome outcome = read();
  for (const Error& error : outcome.errors) note(error.to_string());
  if (!outcome.errors.empty()) return 2;

  const agent::Settings& settings = outcome.settings;
  const auto log = agent::set_up_log({.level = settings.log_level,
                                      .file = settings.log_file,
                                      .max_size_mb = settings.log_file_max_size_mb,
                                      .max_backups = settings.log_file_max_backups});
  if (!log) return refuse(log.error().to_string());
  for (const auto& warning : outcome.warnings) agent::log_warn("{}", warning);
  for (const auto& line : agent::not_yet(settings)) agent::log_warn("{}", line);
  return run_agent(settings, read);
}

int run_agent(const agent::Settings& /*settings*/,
              const std::function<agent::SettingsOutcome()>& /*read_again*/) {
  return refuse("agent: the settings are right, but the agent itself is not built into this version yet");
}

}  // namespace postern::cli
