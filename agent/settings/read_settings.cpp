// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/read_settings.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agent/settings/config_file.h"
#include "agent/settings/setting_table.h"
#include "engine/base/nearest_names.h"

namespace postern::agent {
namespace {

// What was written for a setting, and where.
struct Given {
  std::string value;
  std::string where;
};

std::string quoted(const std::string& value) { return value.empty() ? "nothing" : "\"" + value + "\""; }

class Reader {
 public:
  explicit Reader(const SettingsInput& input) : input_(input) {}

  SettingsOutcome read() {
    for (const Setting& setting : setting_table()) setting.take(setting.default_text, outcome_.settings);
    // Each kind overrides the ones before it, and errors are told in the opposite order.
    std::vector<Error> of_file = collect([this] { take_file(); });
    std::vector<Error> of_variables = collect([this] { take_variables(); });
    std::vector<Error> of_flags = collect([this] { take_flags(); });
    for (auto* errors : {&of_flags, &of_variables, &of_file}) {
      for (Error& error : *errors) outcome_.errors.push_back(std::move(error));
    }
    for (const auto& [name, given] : given_) outcome_.settings.set_where[name] = given.where;
    check_source();
    check_logs();
    return std::move(outcome_);
  }

 private:
  template <typename Step>
  std::vector<Error> collect(Step step) {
    step();
    return std::exchange(found_, {});
  }

  // Of the flag, else of its variables; the file may not name another one.
  [[nodiscard]] Given config_path() const {
    Given path;
    for (const Given& variable : variables_of(*find_setting("config"))) path = variable;
    for (const FlagValue& flag : input_.flags) {
      if (flag.name == "config") path = {flag.value, "--config"};
    }
    return path;
  }

  // The ones that are set, the one that counts last.
  [[nodiscard]] std::vector<Given> variables_of(const Setting& setting) const {
    std::vector<Given> all;
    if (!input_.variable) return all;
    const auto add = [&](const std::string& name) {
      if (auto value = input_.variable(name)) all.push_back({*value, name});
    };
    if (setting.known_variable != nullptr) add(setting.known_variable);
    add(setting.variable());
    return all;
  }

  void take(const Setting& setting, const Given& given, const Location& location) {
    // The place of a file's value stands before the message already, so there the name leads.
    const std::string subject = location.file.empty() ? given.where : setting.name;
    if (const auto expected = setting.take(given.value, outcome_.settings)) {
      found_.push_back({ErrorCode::invalid_input,
                        subject + ": found " + quoted(given.value) + ", expected " + *expected, location});
      return;
    }
    given_[setting.name] = given;
  }

  void take_file() {
    const Given path = config_path();
    if (path.value.empty()) return;
    auto file = read_config_file(path.value);
    if (!file) {
      Error error = file.error();
      if (error.location.file.empty()) error.message = path.where + ": " + error.message;
      found_.push_back(std::move(error));
      return;
    }
    for (const ConfigEntry& entry : file->entries) take_entry(entry);
    for (Error& error : file->errors) found_.push_back(std::move(error));
  }

  void take_entry(const ConfigEntry& entry) {
    const Setting* setting = find_setting(entry.name);
    if (setting == nullptr) {
      found_.push_back({ErrorCode::invalid_input,
                        "found " + quoted(entry.name) + ", expected the name of a setting" +
                            did_you_mean(entry.name, names()),
                        entry.name_place});
      return;
    }
    if (entry.name == "config") {
      found_.push_back({ErrorCode::invalid_input,
                        "config: found in a file, expected as a flag or variable only", entry.name_place});
      return;
    }
    const Location& at = entry.value_place;
    const std::string where = at.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
    take(*setting, {entry.value, where}, at);
  }

  void take_variables() {
    for (const Setting& setting : setting_table()) {
      for (const Given& given : variables_of(setting)) take(setting, given, {});
    }
  }

  void take_flags() {
    for (const FlagValue& flag : input_.flags) {
      const Setting* setting = find_setting(flag.name);
      if (setting != nullptr) {
        take(*setting, {flag.value, setting->flag()}, {});
      } else {
        refuse_word("--" + flag.name);
      }
    }
    bool after_unknown = false;
    for (const std::string& word : input_.unexpected) {
      const bool is_flag = word.starts_with('-');
      // What follows a flag that nobody knows is most likely its value.
      if (is_flag || !after_unknown) refuse_word(word);
      after_unknown = is_flag && word.find('=') == std::string::npos;
    }
  }

  void refuse_word(const std::string& word) {
    if (!word.starts_with('-')) {
      found_.push_back({ErrorCode::invalid_input, word + ": found a word, expected flags only"});
      return;
    }
    const std::string flag = word.substr(0, word.find('='));
    const std::string name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    found_.push_back({ErrorCode::invalid_input, flag + ": no such flag" + did_you_mean(name, names(), "--")});
  }

  static std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const Setting& setting : setting_table()) all.emplace_back(setting.name);
    return all;
  }

  // "--policy-source", "POSTERN_POLICY_SOURCE", ...; the flag's name for a default.
  [[nodiscard]] std::string where(const std::string& name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? "--" + name : found->second.where;
  }

  void check_source() {
    Settings& settings = outcome_.settings;
    if (settings.policy_source == PolicySourceKind::directory) {
      if (!settings.is_set("enable-network-policy")) settings.enable_network_policy = true;
      if (settings.policy_directory.empty()) {
        outcome_.errors.push_back(
            {ErrorCode::invalid_input,
             where("policy-source") +
                 ": found \"directory\" without a folder, expected --policy-directory too"});
      }
    } else if (!settings.policy_directory.empty()) {
      outcome_.errors.push_back({ErrorCode::invalid_input,
                                 where("policy-directory") + ": found " + quoted(settings.policy_directory) +
                                     " with another source, expected --policy-source directory too"});
    }
  }

  void check_logs() {
    Settings& settings = outcome_.settings;
    if (const auto level = given_.find("log-level");
        level != given_.end() && !parse_log_level(level->second.value)) {
      outcome_.warnings.push_back(level->second.where + ": found " + quoted(level->second.value) +
                                  ", expected debug, info, warn, error or fatal; debug is taken");
    }
    if (settings.enable_cloudwatch_logs && !settings.enable_policy_event_logs) {
      outcome_.warnings.push_back(where("enable-cloudwatch-logs") +
                                  ": needs --enable-policy-event-logs, which is off; nothing is sent");
      settings.enable_cloudwatch_logs = false;
    }
  }

  const SettingsInput& input_;
  SettingsOutcome outcome_;
  std::vector<Error> found_;
  std::map<std::string, Given> given_;  // by name of the setting; what won
};

}  // namespace

SettingsOutcome read_settings(const SettingsInput& input) { return Reader(input).read(); }

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::vector<std::string> not_yet(const Settings& settings) {
  std::vector<std::string> lines;
  const auto say = [&](const char* flag, const char* why) {
    const auto found = settings.set_where.find(flag);
    const std::string where = found == settings.set_where.end() ? "--" + std::string(flag) : found->second;
    lines.push_back(where + ": " + why);
  };
  if (settings.is_set("max-concurrent-reconciles")) {
    say("max-concurrent-reconciles",
        "accepted without effect; there is one reconciler, and it takes no turns");
  }
  if (settings.enable_profiling) say("enable-profiling", "accepted without effect; there is no profiler");
  return lines;
}

}  // namespace postern::agent
