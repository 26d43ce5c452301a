// SPDX-License-Identifier: Apache-2.0
// Flag over variable over file over default, and where a value is said to come from.
#include <gtest/gtest.h>

#include "test/unit/agent_settings/given.h"

namespace postern::agent::precedence_test {
namespace {

struct Row {
  const char* name;
  Pairs flags;
  std::map<std::string, std::string> variables;
  const char* file;  // nullptr: none
  const char* node;
  const char* where;
};

TEST(SettingsPrecedence, is_flag_then_variable_then_file_then_default) {
  const Row rows[] = {
      {"nothing", {}, {}, nullptr, "", ""},
      {"the file alone", {}, {}, "node-name: of-file", "of-file", "FILE:1:12"},
      {"the known variable", {}, {{"MY_NODE_NAME", "known"}}, "node-name: of-file", "known", "MY_NODE_NAME"},
      {"the own variable over the known one",
       {},
       {{"MY_NODE_NAME", "known"}, {"POSTERN_NODE_NAME", "own"}},
       nullptr,
       "own",
       "POSTERN_NODE_NAME"},
      {"the flag over all",
       {{"node-name", "flag"}},
       {{"MY_NODE_NAME", "known"}},
       "node-name: of-file",
       "flag",
       "--node-name"},
      {"the later of two flags",
       {{"node-name", "one"}, {"node-name", "two"}},
       {},
       nullptr,
       "two",
       "--node-name"},
      {"a variable that is empty is a value",
       {},
       {{"MY_NODE_NAME", ""}},
       "node-name: of-file",
       "",
       "MY_NODE_NAME"},
      {"an empty file", {}, {}, "", "", ""},
      {"a file of comments", {}, {}, "# nothing\n", "", ""},
      {"quotes in the file", {}, {}, "# first\nnode-name: \"quoted\"\n", "quoted", "FILE:2:12"},
      {"JSON is YAML", {}, {}, R"({"node-name": "json"})", "json", "FILE:1:15"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const ConfigText config(row.file == nullptr ? "" : row.file);
    Given given{.flags = row.flags, .variables = row.variables};
    if (row.file != nullptr) given.flags.push_back({"config", config.path()});
    const SettingsOutcome outcome = read(given);
    EXPECT_EQ(errors_of(outcome), "");
    EXPECT_EQ(outcome.settings.node_name, row.node);
    const auto where = outcome.settings.set_where.find("node-name");
    EXPECT_EQ(where == outcome.settings.set_where.end() ? "" : config.hidden(where->second), row.where);
  }
}

TEST(SettingsPrecedence, holds_for_the_place_of_the_file_too) {
  const ConfigText of_flag("node-name: of-flag");
  const ConfigText of_variable("node-name: of-variable");
  EXPECT_EQ(read({.variables = {{"POSTERN_CONFIG", of_variable.path()}}}).settings.node_name, "of-variable");
  EXPECT_EQ(
      read({.flags = {{"config", of_flag.path()}}, .variables = {{"POSTERN_CONFIG", of_variable.path()}}})
          .settings.node_name,
      "of-flag");
  EXPECT_EQ(read({.flags = {{"config", ""}}, .variables = {{"POSTERN_CONFIG", of_variable.path()}}})
                .settings.node_name,
            "");
}

TEST(SettingsFile, takes_every_kind_of_scalar_as_the_text_that_was_written) {
  const ConfigText config(
      "enable-network-policy: true\n"
      "log-file: \"\"\n"
      "conntrack-cache-table-size: 65536\n"
      "metrics-bind-addr: 0\n"
      "health-probe-bind-addr: \":9\"\n"
      "established-flows: keep\n");
  const SettingsOutcome outcome = read({.flags = {{"config", config.path()}}});
  EXPECT_EQ(config.hidden(errors_of(outcome)), "");
  EXPECT_TRUE(outcome.settings.enable_network_policy);
  EXPECT_EQ(outcome.settings.log_file, "");
  EXPECT_EQ(outcome.settings.conntrack_table_size, 65536u);
  EXPECT_TRUE(outcome.settings.metrics_address.off);
  EXPECT_EQ(outcome.settings.health_address.port, 9);
  EXPECT_TRUE(outcome.settings.keep_established_flows);
}

}  // namespace
}  // namespace postern::agent::precedence_test
