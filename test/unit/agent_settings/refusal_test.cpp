// SPDX-License-Identifier: Apache-2.0
// What is wrong is said with its place, what was found and what was expected, and all of it at once.
#include <gtest/gtest.h>

#include "test/unit/agent_settings/given.h"

namespace postern::agent {
namespace {

TEST(SettingsRefusal, of_a_flag_names_flag_value_and_expectation) {
  const struct {
    const char* flag;
    const char* value;
    const char* message;
  } rows[] = {
      {"policy-source", "crd", "found \"crd\", expected auto, kubernetes, policyendpoints or directory"},
      {"policy-source", "Auto", "found \"Auto\", expected auto, kubernetes, policyendpoints or directory"},
      {"policy-source", "", "found nothing, expected auto, kubernetes, policyendpoints or directory"},
      {"enable-network-policy", "yes", "found \"yes\", expected true or false"},
      {"enable-network-policy", "", "found nothing, expected true or false"},
      {"enforcement", "Strict", "found \"Strict\", expected standard or strict"},
      {"established-flows", "drop", "found \"drop\", expected reevaluate or keep"},
      {"service-ip-blocks", "on", "found \"on\", expected auto, compat or strict"},
      {"enforce-interfaces", "2", "found \"2\", expected primary or all"},
      {"cluster-name", "a/b",
       "found \"a/b\", expected nothing, or a cluster's name: letters, digits, -, _ and ., at most 100"},
      {"cloudwatch-queue-events", "0",
       "found \"0\", expected a number from 1 to 10000000"},
      {"cloudwatch-queue-size", "4097", "found \"4097\", expected a number from 1 to 4096"},
      {"cloudwatch-flush-period", "0", "found \"0\", expected a number from 1 to 3600"},
      {"node-name", "Node_1",
       "found \"Node_1\", expected a node's name: lower-case letters, digits, - and ., at most 253"},
      {"node-name", "a..b",
       "found \"a..b\", expected a node's name: lower-case letters, digits, - and ., at most 253"},
      {"node-name", "-a",
       "found \"-a\", expected a node's name: lower-case letters, digits, - and ., at most 253"},
      {"netns-directory", "netns", "found \"netns\", expected a path that begins with /"},
      {"netns-directory", "", "found nothing, expected a path that begins with /"},
      {"grpc-socket", "unix:///run/a",
       "found \"unix:///run/a\", expected nothing, or a path that begins with / and has at most 107 bytes"},
      {"ipamd-socket", "a",
       "found \"a\", expected nothing, or a path that begins with / and has at most 107 bytes"},
      {"run-folder", "postern", "found \"postern\", expected a path that begins with /"},
      {"pin-path", "postern", "found \"postern\", expected a path that begins with /"},
      {"conntrack-cache-table-size", "32767", "found \"32767\", expected a number from 32768 to 1048576"},
      {"conntrack-cache-table-size", "1048577", "found \"1048577\", expected a number from 32768 to 1048576"},
      {"conntrack-cache-table-size", "256K", "found \"256K\", expected a number from 32768 to 1048576"},
      {"table-sizes", "pods",
       "found \"pods\", expected NAME=ENTRIES of pods, slots_far, hosts, hosts_far, seg, rows, bodies, portdirs, "
       "portpages, fragments and conntrack, from 1 to 4194304, separated by commas"},
      {"table-sizes", "idx=5",
       "found \"idx=5\", expected NAME=ENTRIES of pods, slots_far, hosts, hosts_far, seg, rows, bodies, portdirs, "
       "portpages, fragments and conntrack, from 1 to 4194304, separated by commas"},
      {"table-sizes", "hosts=0",
       "found \"hosts=0\", expected NAME=ENTRIES of pods, slots_far, hosts, hosts_far, seg, rows, bodies, portdirs, "
       "portpages, fragments and conntrack, from 1 to 4194304, separated by commas"},
      {"table-sizes", "rows=4194305",
       "found \"rows=4194305\", expected NAME=ENTRIES of pods, slots_far, hosts, hosts_far, seg, rows, bodies, portdirs, "
       "portpages, fragments and conntrack, from 1 to 4194304, separated by commas"},
      {"conntrack-cache-cleanup-period", "0", "found \"0\", expected a number from 1 to 86400"},
      {"conntrack-cache-cleanup-period", "300s", "found \"300s\", expected a number from 1 to 86400"},
      {"conntrack-timeouts", "tcp=5",
       "found \"tcp=5\", expected NAME=SECONDS of tcp-syn, tcp-established, tcp-fin, tcp-closed, tcp-rst, udp, "
       "udp-replied, sctp and icmp, from 1 to 31536000, separated by commas"},
      {"conntrack-timeouts", "udp=30,icmp=0",
       "found \"udp=30,icmp=0\", expected NAME=SECONDS of tcp-syn, tcp-established, tcp-fin, tcp-closed, tcp-rst, udp, "
       "udp-replied, sctp and icmp, from 1 to 31536000, separated by commas"},
      {"midflow-grace", "3601", "found \"3601\", expected a number from 0 to 3600"},
      {"log-file-max-size", "0", "found \"0\", expected a number from 1 to 1000000"},
      {"log-file-max-size", "99999999999999999999",
       "found \"99999999999999999999\", expected a number from 1 to 1000000"},
      {"log-file-max-backups", "-1", "found \"-1\", expected a number from 0 to 1000"},
      {"metrics-bind-addr", "8162",
       "found \"8162\", expected 0 or an address and a port, as :8162, 127.0.0.1:8162 or [::1]:8162"},
      {"max-concurrent-reconciles", "many", "found \"many\", expected a number from 1 to 1000000"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.flag) + "=" + row.value);
    EXPECT_EQ(errors_of(read({.flags = {{row.flag, row.value}}})),
              "--" + std::string(row.flag) + ": " + row.message + "\n");
  }
}

TEST(SettingsRefusal, of_a_long_socket_path_counts_its_bytes) {
  const std::string fits = "/" + std::string(106, 'a');
  EXPECT_EQ(errors_of(read({.flags = {{"grpc-socket", fits}}})), "");
  EXPECT_NE(errors_of(read({.flags = {{"grpc-socket", fits + "a"}}})), "");
}

TEST(SettingsRefusal, of_words_that_are_no_flags_says_which_flag_may_be_meant) {
  const struct {
    const char* name;
    std::vector<std::string> words;
    const char* errors;
  } rows[] = {
      {"a slip",
       {"--log-levle=info"},
       "--log-levle: no such flag; did you mean --log-level or --log-file?\n"},
      {"its value is not told too",
       {"--log-levle", "info"},
       "--log-levle: no such flag; did you mean --log-level or --log-file?\n"},
      {"one dash",
       {"-log-level=info"},
       "-log-level: no such flag; did you mean --log-level or --log-file?\n"},
      {"nothing alike", {"--x"}, "--x: no such flag\n"},
      {"dashes alone", {"-"}, "-: no such flag\n"},
      {"a word", {"directory"}, "directory: found a word, expected flags only\n"},
      {"a word after a flag with its value",
       {"--x=1", "directory"},
       "--x: no such flag\ndirectory: found a word, expected flags only\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(errors_of(read({.unexpected = row.words})), row.errors);
  }
}

TEST(SettingsRefusal, of_the_file_has_line_and_column) {
  const struct {
    const char* name;
    const char* text;
    const char* errors;
  } rows[] = {
      {"an unknown key", "log-level: info\nlog-fiel: x\n",
       "FILE:2:1: found \"log-fiel\", expected the name of a setting; did you mean log-file or log-level?\n"},
      {"a key with dashes", "--log-level: info\n",
       "FILE:1:1: found \"--log-level\", expected the name of a setting; did you mean log-level?\n"},
      {"a file cannot name another", "config: other.yaml\n",
       "FILE:1:1: config: found in a file, expected as a flag or variable only\n"},
      {"a wrong value", "\nlog-file-max-size: big\n",
       "FILE:2:20: log-file-max-size: found \"big\", expected a number from 1 to 1000000\n"},
      {"yes is no boolean", "takeover: yes\n",
       "FILE:1:11: takeover: found \"yes\", expected true or false\n"},
      {"no value", "log-file:\n",
       "FILE:1:1: log-file: found nothing, expected one value (\"\" for an empty one)\n"},
      {"a list", "log-file: [a]\n",
       "FILE:1:11: log-file: found a list, expected one value (\"\" for an empty one)\n"},
      {"a mapping", "log-file: {a: b}\n",
       "FILE:1:11: log-file: found a mapping, expected one value (\"\" for an empty one)\n"},
      {"two of a key", "log-level: info\nlog-level: warn\n",
       "FILE:2:1: found the key \"log-level\" twice in one mapping, expected once\n"},
      {"a list of settings", "- log-level\n",
       "FILE:1:1: found a list, expected a mapping of settings to values\n"},
      {"a text", "log-level\n", "FILE:1:1: found \"log-level\", expected a mapping of settings to values\n"},
      {"two documents", "log-level: info\n---\nlog-file: x\n",
       "FILE:3:1: found a second document, expected one mapping of settings\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const ConfigText config(row.text);
    EXPECT_EQ(config.hidden(errors_of(read({.flags = {{"config", config.path()}}}))), row.errors);
  }
}

TEST(SettingsRefusal, of_a_file_that_cannot_be_read_says_who_named_it) {
  EXPECT_EQ(errors_of(read({.flags = {{"config", "/nonexistent/a.yaml"}}})),
            "--config: reading /nonexistent/a.yaml: No such file or directory\n");
  EXPECT_EQ(errors_of(read({.variables = {{"POSTERN_CONFIG", "/tmp"}}})),
            "POSTERN_CONFIG: reading /tmp: Is a directory\n");
}

TEST(SettingsRefusal, tells_everything_at_once_also_what_is_overridden) {
  const ConfigText config("log-file-max-size: big\nno-such: 1\n");
  const SettingsOutcome outcome =
      read({.flags = {{"log-file-max-size", "3"}, {"takeover", "maybe"}, {"config", config.path()}},
            .variables = {{"NETWORK_POLICY_ENFORCING_MODE", "loose"}, {"POSTERN_ENFORCEMENT", "strict"}},
            .unexpected = {"--nope"}});
  EXPECT_EQ(config.hidden(errors_of(outcome)),
            "--takeover: found \"maybe\", expected true or false\n"
            "--nope: no such flag\n"
            "NETWORK_POLICY_ENFORCING_MODE: found \"loose\", expected standard or strict\n"
            "FILE:1:20: log-file-max-size: found \"big\", expected a number from 1 to 1000000\n"
            "FILE:2:1: found \"no-such\", expected the name of a setting\n");
}

}  // namespace
}  // namespace postern::agent
