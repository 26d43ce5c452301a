// SPDX-License-Identifier: Apache-2.0
// What settings mean together, what is only warned of, and what does nothing yet.
#include <gtest/gtest.h>

#include "test/unit/agent_settings/given.h"

namespace postern::agent {
namespace {

TEST(SettingsTogether, a_directory_needs_its_source_and_the_source_its_directory) {
  const struct {
    const char* name;
    Pairs flags;
    const char* errors;
    bool enabled;
  } rows[] = {
      {"both", {{"policy-source", "directory"}, {"policy-directory", "/p"}}, "", true},
      {"both, and off by wish",
       {{"policy-source", "directory"}, {"policy-directory", "/p"}, {"enable-network-policy", "false"}},
       "",
       false},
      {"no directory",
       {{"policy-source", "directory"}},
       "--policy-source: found \"directory\" without a folder, expected --policy-directory too\n",
       true},
      {"no source",
       {{"policy-directory", "/p"}},
       "--policy-directory: found \"/p\" with another source, expected --policy-source directory too\n",
       false},
      {"another source",
       {{"policy-source", "kubernetes"}, {"policy-directory", "/p"}},
       "--policy-directory: found \"/p\" with another source, expected --policy-source directory too\n",
       false},
      {"neither", {}, "", false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const SettingsOutcome outcome = read({.flags = row.flags});
    EXPECT_EQ(errors_of(outcome), row.errors);
    EXPECT_EQ(outcome.settings.enable_network_policy, row.enabled);
  }
}

TEST(SettingsTogether, an_unknown_log_level_warns_and_is_debug) {
  const SettingsOutcome outcome = read({.flags = {{"log-level", "trace"}}});
  EXPECT_EQ(errors_of(outcome), "");
  EXPECT_EQ(lines(outcome.warnings),
            "--log-level: found \"trace\", expected debug, info, warn, error or fatal; debug is taken\n");
  EXPECT_EQ(outcome.settings.log_level, LogLevel::debug);
  // Only the one that counts is spoken of.
  EXPECT_EQ(
      lines(read({.flags = {{"log-level", "info"}}, .variables = {{"POSTERN_LOG_LEVEL", "trace"}}}).warnings),
      "");
}

TEST(SettingsTogether, cloudwatch_without_event_logs_warns_and_stays_off) {
  const SettingsOutcome alone = read({.variables = {{"POSTERN_ENABLE_CLOUDWATCH_LOGS", "true"}}});
  EXPECT_EQ(errors_of(alone), "");
  EXPECT_EQ(
      lines(alone.warnings),
      "POSTERN_ENABLE_CLOUDWATCH_LOGS: needs --enable-policy-event-logs, which is off; nothing is sent\n");
  EXPECT_FALSE(alone.settings.enable_cloudwatch_logs);
  const SettingsOutcome both =
      read({.flags = {{"enable-cloudwatch-logs", "true"}, {"enable-policy-event-logs", "true"}}});
  EXPECT_EQ(lines(both.warnings), "");
  EXPECT_TRUE(both.settings.enable_cloudwatch_logs);
}

TEST(SettingsTogether, what_does_nothing_yet_is_said) {
  const struct {
    const char* name;
    Pairs flags;
    const char* said;
  } rows[] = {
      {"nothing of the kind", {{"log-level", "info"}}, ""},
      {"off by wish", {{"enable-policy-event-logs", "false"}, {"enable-profiling", "false"}}, ""},
      {"reconciles, also with the default's value",
       {{"max-concurrent-reconciles", "3"}},
       "--max-concurrent-reconciles: accepted without effect; there is one reconciler, and it takes no "
       "turns\n"},
      {"profiling",
       {{"enable-profiling", "true"}},
       "--enable-profiling: accepted without effect; there is no profiler\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(lines(not_yet(read({.flags = row.flags}).settings)), row.said);
  }
}

TEST(SettingsTogether, the_arguments_of_the_amazon_agents_daemonset_are_taken_as_they_are) {
  const SettingsOutcome outcome =
      read({.flags = {{"enable-ipv6", "false"},
                      {"enable-network-policy", "false"},
                      {"enable-cloudwatch-logs", "false"},
                      {"enable-policy-event-logs", "false"},
                      {"log-file", "/var/log/aws-routed-eni/network-policy-agent.log"},
                      {"metrics-bind-addr", ":8162"},
                      {"health-probe-bind-addr", ":8163"},
                      {"conntrack-cache-cleanup-period", "300"},
                      {"conntrack-cache-table-size", "524288"},
                      {"log-level", "debug"}},
            .variables = {{"MY_NODE_NAME", "ip-10-0-0-1.ec2.internal"}}});
  EXPECT_EQ(errors_of(outcome), "");
  EXPECT_EQ(lines(outcome.warnings), "");
  EXPECT_EQ(lines(not_yet(outcome.settings)), "");
  EXPECT_EQ(outcome.settings.conntrack_table_size, 524288u);
  EXPECT_FALSE(outcome.settings.enable_network_policy);
}

}  // namespace
}  // namespace postern::agent
