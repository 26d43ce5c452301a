// SPDX-License-Identifier: Apache-2.0
// A text that is refused, and what the reader says of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "sim/scenario/scenario_reader.h"

namespace postern::sim {

struct Row {
  const char* name;
  const char* text;
  std::vector<std::string> messages;  // without the file name
};

// With POSTERN_ROWS every text is also left in that folder, for the test of the JSON Schema.
inline void leave_row(const std::string& text) {
  static int count = 0;
  const char* folder = std::getenv("POSTERN_ROWS");
  if (folder == nullptr) return;
  std::ofstream(std::string(folder) + "/" + std::to_string(++count) + ".yaml", std::ios::binary) << text;
}

inline std::vector<std::string> messages_of(const std::string& text) {
  leave_row(text);
  const auto read = read_scenario(text, "s.yaml");
  EXPECT_TRUE(read.is_scenario);
  EXPECT_EQ(read.scenario.has_value(), read.errors.empty());
  std::vector<std::string> messages;
  for (const auto& error : read.errors) messages.push_back(error.to_string().substr(7));
  return messages;
}

inline const std::string kTop =
    "apiVersion: postern.dev/v1alpha1\n"
    "kind: Scenario\n"
    "metadata: {name: s}\n";

}  // namespace postern::sim
