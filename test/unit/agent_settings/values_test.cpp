// SPDX-License-Identifier: Apache-2.0
// What each setting is without being set, and what values of it come out as.
#include <gtest/gtest.h>

#include <set>

#include "agent/settings/setting_table.h"
#include "agent/settings/setting_values.h"
#include "test/unit/agent_settings/given.h"

namespace postern::agent::values_test {
namespace {

// The member that a flag fills, as text.
std::string shown(const Settings& settings, const std::string& flag) {
  const auto word = [](bool value) { return std::string(value ? "true" : "false"); };
  if (flag == "policy-source") return std::to_string(static_cast<int>(settings.policy_source));
  if (flag == "policy-directory") return settings.policy_directory;
  if (flag == "enable-network-policy") return word(settings.enable_network_policy);
  if (flag == "enforcement") return settings.strict ? "strict" : "standard";
  if (flag == "established-flows") return settings.keep_established_flows ? "keep" : "reevaluate";
  if (flag == "service-ip-blocks") return std::to_string(static_cast<int>(settings.service_ip_blocks));
  if (flag == "enforce-interfaces") return std::to_string(static_cast<int>(settings.enforce_interfaces));
  if (flag == "kubeconfig") return settings.kubeconfig;
  if (flag == "node-name") return settings.node_name;
  if (flag == "cluster-name") return settings.cluster_name;
  if (flag == "enable-ipv6") return word(settings.enable_ipv6);
  if (flag == "netns-directory") return settings.netns_directory;
  if (flag == "grpc-socket") return settings.grpc_socket;
  if (flag == "ipamd-socket") return settings.ipamd_socket;
  if (flag == "pin-path") return settings.pin_path;
  if (flag == "run-folder") return settings.run_folder;
  if (flag == "conntrack-cache-table-size") return std::to_string(settings.conntrack_table_size);
  if (flag == "table-sizes") {
    std::string all;
    for (const auto& [name, entries] : settings.table_sizes) all += name + "=" + std::to_string(entries) + " ";
    return all;
  }
  if (flag == "conntrack-cache-cleanup-period") return std::to_string(settings.conntrack_cleanup_period.ns);
  if (flag == "conntrack-timeouts") {
    const ConntrackTimeouts& t = settings.conntrack_timeouts;
    std::string all;
    for (const Duration each : {t.tcp_syn, t.tcp_established, t.tcp_fin, t.tcp_closed, t.tcp_rst, t.udp, t.udp_replied,
                                t.sctp, t.icmp}) {
      all += (all.empty() ? "" : " ") + std::to_string(each.ns / 1'000'000'000);
    }
    return all;
  }
  if (flag == "midflow-grace") return std::to_string(settings.midflow_grace.ns);
  if (flag == "takeover") return word(settings.takeover);
  if (flag == "uninstall") return word(settings.uninstall);
  if (flag == "log-level") return std::string(to_string(settings.log_level));
  if (flag == "log-file") return settings.log_file;
  if (flag == "log-file-max-size") return std::to_string(settings.log_file_max_size_mb);
  if (flag == "log-file-max-backups") return std::to_string(settings.log_file_max_backups);
  if (flag == "metrics-bind-addr") return settings.metrics_address.to_string();
  if (flag == "health-probe-bind-addr") return settings.health_address.to_string();
  if (flag == "enable-policy-event-logs") return word(settings.enable_policy_event_logs);
  if (flag == "flow-log-format") return std::to_string(static_cast<int>(settings.flow_log_format));
  if (flag == "flow-log-interval") return std::to_string(settings.flow_log_interval.ns);
  if (flag == "flow-log-limit") return std::to_string(settings.flow_log_limit);
  if (flag == "enable-cloudwatch-logs") return word(settings.enable_cloudwatch_logs);
  if (flag == "verify-sample") return std::to_string(settings.verify_sample);
  if (flag == "verify-folder") return settings.verify_folder;
  if (flag == "cloudwatch-queue-events") return std::to_string(settings.cloudwatch_queue_events);
  if (flag == "cloudwatch-queue-size") return std::to_string(settings.cloudwatch_queue_size_mb);
  if (flag == "cloudwatch-flush-period") return std::to_string(settings.cloudwatch_flush_period.ns);
  if (flag == "config") return settings.config_file;
  if (flag == "max-concurrent-reconciles") return std::to_string(settings.max_concurrent_reconciles);
  if (flag == "enable-profiling") return word(settings.enable_profiling);
  return "not in this test";
}

struct Row {
  const char* flag;
  const char* value;
  const char* member;
};

// The flags, ports and sizes of the Amazon agent by their names; log file and table size as its text says.
constexpr Row kDefaults[] = {
    {"policy-source", "", "0"},
    {"policy-directory", "", ""},
    {"enable-network-policy", "", "false"},
    {"enforcement", "", "standard"},
    {"established-flows", "", "reevaluate"},
    {"service-ip-blocks", "", "0"},
    {"enforce-interfaces", "", "0"},
    {"kubeconfig", "", ""},
    {"node-name", "", ""},
    {"cluster-name", "", ""},
    {"enable-ipv6", "", "false"},
    {"netns-directory", "", "/var/run/netns"},
    {"grpc-socket", "", "/var/run/aws-node/npa.sock"},
    {"ipamd-socket", "", "/var/run/aws-node/ipamd.sock"},
    {"pin-path", "", "/sys/fs/bpf/postern"},
    {"run-folder", "", ""},
    {"conntrack-cache-table-size", "", "262144"},
    {"table-sizes", "", ""},
    {"conntrack-cache-cleanup-period", "", "300000000000"},
    {"conntrack-timeouts", "", "120 86400 120 120 10 30 120 210 30"},
    {"midflow-grace", "", "0"},
    {"takeover", "", "false"},
    {"uninstall", "", "false"},
    {"log-level", "", "debug"},
    {"log-file", "", "/var/run/aws-routed-eni/network-policy-agent.log"},
    {"log-file-max-size", "", "200"},
    {"log-file-max-backups", "", "8"},
    {"metrics-bind-addr", "", ":8162"},
    {"health-probe-bind-addr", "", ":8163"},
    {"enable-policy-event-logs", "", "false"},
    {"flow-log-format", "", "0"},
    {"flow-log-interval", "", "10000000000"},
    {"flow-log-limit", "", "1000"},
    {"enable-cloudwatch-logs", "", "false"},
    {"verify-sample", "", "0"},
    {"verify-folder", "", ""},
    {"cloudwatch-queue-events", "", "50000"},
    {"cloudwatch-queue-size", "", "16"},
    {"cloudwatch-flush-period", "", "5000000000"},
    {"config", "", ""},
    {"max-concurrent-reconciles", "", "3"},
    {"enable-profiling", "", "false"},
};

TEST(SettingsDefaults, are_those_of_the_table_for_every_setting) {
  const SettingsOutcome outcome = read({});
  EXPECT_EQ(errors_of(outcome), "");
  EXPECT_EQ(lines(outcome.warnings), "");
  EXPECT_TRUE(outcome.settings.set_where.empty());
  std::set<std::string> seen;
  for (const Row& row : kDefaults) {
    SCOPED_TRACE(row.flag);
    seen.insert(row.flag);
    EXPECT_EQ(shown(outcome.settings, row.flag), row.member);
  }
  for (const Setting& setting : setting_table()) EXPECT_TRUE(seen.contains(setting.name)) << setting.name;
  EXPECT_EQ(seen.size(), setting_table().size());
}

TEST(SettingsValues, reach_the_member_of_their_flag) {
  const Row rows[] = {
      {"policy-source", "auto", "0"},
      {"policy-source", "kubernetes", "1"},
      {"policy-source", "policyendpoints", "2"},
      {"enable-network-policy", "true", "true"},
      {"enable-network-policy", "T", "true"},
      {"enable-network-policy", "1", "true"},
      {"enable-network-policy", "TRUE", "true"},
      {"enable-network-policy", "f", "false"},
      {"enable-network-policy", "0", "false"},
      {"enforcement", "standard", "standard"},
      {"enforcement", "strict", "strict"},
      {"established-flows", "keep", "keep"},
      {"service-ip-blocks", "compat", "1"},
      {"service-ip-blocks", "strict", "2"},
      {"enforce-interfaces", "all", "1"},
      {"kubeconfig", "/etc/kubeconfig", "/etc/kubeconfig"},
      {"node-name", "ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.ec2.internal"},
      {"enable-ipv6", "true", "true"},
      {"netns-directory", "/run/netns", "/run/netns"},
      {"grpc-socket", "/run/postern.sock", "/run/postern.sock"},
      {"grpc-socket", "", ""},
      {"ipamd-socket", "/run/ipamd.sock", "/run/ipamd.sock"},
      {"ipamd-socket", "", ""},
      {"pin-path", "/sys/fs/bpf/other", "/sys/fs/bpf/other"},
      {"run-folder", "/run/other", "/run/other"},
      {"conntrack-cache-table-size", "32768", "32768"},
      {"conntrack-cache-table-size", "524288", "524288"},
      {"conntrack-cache-table-size", "1048576", "1048576"},
      {"table-sizes", "pods=8192", "pods=8192 "},
      {"table-sizes", "hosts=1000000,fragments=1,conntrack=4194304,seg=5,seg=6",
       "conntrack=4194304 fragments=1 hosts=1000000 seg=6 "},
      {"conntrack-cache-cleanup-period", "60", "60000000000"},
      {"conntrack-timeouts", "tcp-established=3600", "120 3600 120 120 10 30 120 210 30"},
      {"conntrack-timeouts", "icmp=1,tcp-syn=2,tcp-fin=3,tcp-closed=4,tcp-rst=5,udp=6,udp-replied=7,sctp=8",
       "2 86400 3 4 5 6 7 8 1"},
      {"midflow-grace", "30", "30000000000"},
      {"takeover", "true", "true"},
      {"uninstall", "true", "true"},
      {"log-level", "info", "info"},
      {"log-level", "WARN", "warn"},
      {"log-level", "error", "error"},
      {"log-level", "fatal", "fatal"},
      {"log-file", "", ""},
      {"log-file", "stdout", "stdout"},
      {"log-file-max-size", "1", "1"},
      {"log-file-max-backups", "0", "0"},
      {"metrics-bind-addr", "[::1]:9", "[::1]:9"},
      {"metrics-bind-addr", "0", "0"},
      {"health-probe-bind-addr", "", "0"},
      {"enable-policy-event-logs", "true", "true"},
      {"flow-log-format", "json", "1"},
      {"flow-log-interval", "0", "0"},
      {"flow-log-limit", "5000", "5000"},
      {"verify-sample", "100", "100"},
      {"verify-folder", "/tmp/x", "/tmp/x"},
      {"cluster-name", "", ""},
      {"cluster-name", "Shop_1.eu-a", "Shop_1.eu-a"},
      {"cloudwatch-queue-events", "1", "1"},
      {"cloudwatch-queue-size", "4096", "4096"},
      {"cloudwatch-flush-period", "60", "60000000000"},
      {"max-concurrent-reconciles", "7", "7"},
      {"enable-profiling", "true", "true"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.flag) + "=" + row.value);
    const SettingsOutcome outcome = read({.flags = {{row.flag, row.value}}});
    EXPECT_EQ(errors_of(outcome), "");
    EXPECT_EQ(shown(outcome.settings, row.flag), row.member);
    EXPECT_TRUE(outcome.settings.is_set(row.flag));
  }
}

TEST(SettingsTable, has_names_and_variables_that_nothing_else_has) {
  std::set<std::string> names;
  std::set<std::string> variables;
  for (const Setting& setting : setting_table()) {
    SCOPED_TRACE(setting.name);
    EXPECT_TRUE(names.insert(setting.name).second);
    EXPECT_TRUE(variables.insert(setting.variable()).second);
    if (setting.known_variable != nullptr) {
      EXPECT_TRUE(variables.insert(setting.known_variable).second);
    }
    EXPECT_EQ(find_setting(setting.name), &setting);
    // A Service called postern puts these two kinds of variables into every pod of its namespace.
    EXPECT_FALSE(setting.variable().starts_with("POSTERN_SERVICE_HOST"));
    EXPECT_FALSE(setting.variable().starts_with("POSTERN_PORT"));
  }
  EXPECT_EQ(find_setting("conntrack-cache-table-size")->variable(), "POSTERN_CONNTRACK_CACHE_TABLE_SIZE");
  EXPECT_EQ(find_setting("enable-ipv6")->variable(), "POSTERN_ENABLE_IPV6");
  EXPECT_EQ(find_setting("enable-ipv7"), nullptr);
}

TEST(SettingsValues, what_no_log_group_may_be_called_is_no_clusters_name) {
  for (const char* name : {"a", "Shop-1", "a_b", "a.b"}) EXPECT_TRUE(is_cluster_name(name)) << name;
  for (const char* name : {"", "a/b", "a b", "a:b", "\xc3\xa4", "a\n"}) EXPECT_FALSE(is_cluster_name(name)) << name;
  EXPECT_TRUE(is_cluster_name(std::string(100, 'a')));
  EXPECT_FALSE(is_cluster_name(std::string(101, 'a')));
}

}  // namespace
}  // namespace postern::agent::values_test
