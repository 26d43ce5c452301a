// SPDX-License-Identifier: Apache-2.0
// Settings as a user gives them, in one line each, and what comes of it as text.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "agent/settings/read_settings.h"

namespace postern::agent {

// A configuration file that is gone after the test. Its name in messages is FILE.
class ConfigText {
 public:
  explicit ConfigText(const std::string& text) {
    char name[] = "/tmp/postern_settings_XXXXXX";
    const int file = mkstemp(name);
    EXPECT_GE(file, 0);
    close(file);
    path_ = name;
    std::ofstream(path_) << text;
  }
  ~ConfigText() { std::remove(path_.c_str()); }
  ConfigText(const ConfigText&) = delete;
  ConfigText& operator=(const ConfigText&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string hidden(std::string text) const {
    for (auto at = text.find(path_); at != std::string::npos; at = text.find(path_)) {
      text.replace(at, path_.size(), "FILE");
    }
    return text;
  }

 private:
  std::string path_;
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Given {
  Pairs flags{};
  std::map<std::string, std::string> variables{};
  std::vector<std::string> unexpected{};
};

inline SettingsOutcome read(const Given& given) {
  SettingsInput input;
  for (const auto& [name, value] : given.flags) input.flags.push_back({name, value});
  input.unexpected = given.unexpected;
  input.variable = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = given.variables.find(name);
    if (found == given.variables.end()) return std::nullopt;
    return found->second;
  };
  return read_settings(input);
}

// Every error on a line of its own.
inline std::string errors_of(const SettingsOutcome& outcome) {
  std::string text;
  for (const Error& error : outcome.errors) text += error.to_string() + "\n";
  return text;
}

inline std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& one : all) text += one + "\n";
  return text;
}

}  // namespace postern::agent
