// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/setting_table.h"

#include <algorithm>
#include <array>

#include "agent/settings/setting_values.h"
#include "engine/compile/table_sizes.h"

namespace postern::agent {
namespace {

using Expected = std::optional<std::string>;

constexpr const char* kPolicy = "Policy";
constexpr const char* kNode = "Cluster and node";
constexpr const char* kKernel = "Kernel";
constexpr const char* kLogs = "Logs and endpoints";
constexpr const char* kFile = "All of this from a file";
constexpr const char* kAccepted = "Accepted without effect";

// The rows that differ in nothing but the member they fill.
template <auto Member>
Expected take_switch(const std::string& value, Settings& settings) {
  return read_switch(value, settings.*Member);
}
template <auto Member>
Expected take_text(const std::string& value, Settings& settings) {
  settings.*Member = value;
  return std::nullopt;
}
template <auto Member>
Expected take_folder(const std::string& value, Settings& settings) {
  return read_absolute_path(value, settings.*Member);
}
template <auto Member>
Expected take_socket(const std::string& value, Settings& settings) {
  return read_socket_path(value, settings.*Member);
}
template <auto Member>
Expected take_address(const std::string& value, Settings& settings) {
  return read_bind_address(value, settings.*Member);
}
template <auto Member, std::int64_t Least, std::int64_t Most>
Expected take_number(const std::string& value, Settings& settings) {
  return read_number(value, {Least, Most}, settings.*Member);
}

Expected take_policy_source(const std::string& value, Settings& settings) {
  return read_word(value,
                   {{"auto", PolicySourceKind::automatic},
                    {"kubernetes", PolicySourceKind::kubernetes},
                    {"policyendpoints", PolicySourceKind::policyendpoints},
                    {"directory", PolicySourceKind::directory}},
                   settings.policy_source);
}
Expected take_enforcement(const std::string& value, Settings& settings) {
  return read_word(value, {{"standard", false}, {"strict", true}}, settings.strict);
}
Expected take_established_flows(const std::string& value, Settings& settings) {
  return read_word(value, {{"reevaluate", false}, {"keep", true}}, settings.keep_established_flows);
}
Expected take_interfaces(const std::string& value, Settings& settings) {
  return read_word(value, {{"primary", EnforceInterfaces::primary}, {"all", EnforceInterfaces::all}},
                   settings.enforce_interfaces);
}
Expected take_service_ip_blocks(const std::string& value, Settings& settings) {
  return read_word(value,
                   {{"auto", ServiceIpBlocks::automatic},
                    {"compat", ServiceIpBlocks::compat},
                    {"strict", ServiceIpBlocks::strict}},
                   settings.service_ip_blocks);
}
// An unknown word is no error: manifests that carry one work today. read_settings() warns.
Expected take_log_level(const std::string& value, Settings& settings) {
  settings.log_level = parse_log_level(value).value_or(LogLevel::debug);
  return std::nullopt;
}
Expected take_cleanup_period(const std::string& value, Settings& settings) {
  std::int64_t period_s = 0;
  auto expected = read_number(value, {1, 86'400}, period_s);
  settings.conntrack_cleanup_period = seconds(period_s);
  return expected;
}
// Takes NAME=NUMBER parts, separated by commas; false: something is none, or take(NAME, NUMBER) refuses it.
template <typename Take>
bool take_parts(std::string_view rest, NumberRange range, Take take) {
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) return false;
    std::int64_t number = 0;
    if (read_number(std::string(part.substr(equals + 1)), range, number)) return false;
    if (!take(part.substr(0, equals), number)) return false;
  }
  return true;
}
// Who is not named keeps the default, here and below.
Expected take_table_sizes(const std::string& value, Settings& settings) {
  std::map<std::string, std::uint32_t> sizes;
  TableSizes named;
  const bool taken = take_parts(value, {1, 4'194'304}, [&](std::string_view name, std::int64_t entries) {
    const auto count = static_cast<std::uint32_t>(entries);
    sizes[std::string(name)] = count;
    return set_entries(named, name, count);
  });
  if (!taken) return "NAME=ENTRIES of " + names_of_sized_tables() + ", from 1 to 4194304, separated by commas";
  settings.table_sizes = std::move(sizes);
  return std::nullopt;
}
Expected take_conntrack_timeouts(const std::string& value, Settings& settings) {
  using T = ConntrackTimeouts;
  static constexpr std::pair<std::string_view, Duration T::*> kNames[] = {
      {"tcp-syn", &T::tcp_syn},         {"tcp-established", &T::tcp_established}, {"tcp-fin", &T::tcp_fin},
      {"tcp-closed", &T::tcp_closed},   {"tcp-rst", &T::tcp_rst},                 {"udp", &T::udp},
      {"udp-replied", &T::udp_replied}, {"sctp", &T::sctp},                       {"icmp", &T::icmp},
  };
  T timeouts;
  const bool taken = take_parts(value, {1, 31'536'000}, [&](std::string_view name, std::int64_t timeout_s) {
    const auto* const named =
        std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& entry) { return entry.first == name; });
    if (named == std::end(kNames)) return false;
    timeouts.*(named->second) = seconds(timeout_s);
    return true;
  });
  if (!taken) {
    return "NAME=SECONDS of tcp-syn, tcp-established, tcp-fin, tcp-closed, tcp-rst, udp, udp-replied, sctp and icmp, "
           "from 1 to 31536000, separated by commas";
  }
  settings.conntrack_timeouts = timeouts;
  return std::nullopt;
}
Expected take_midflow_grace(const std::string& value, Settings& settings) {
  std::int64_t grace_s = 0;
  auto expected = read_number(value, {0, 3600}, grace_s);
  settings.midflow_grace = seconds(grace_s);
  return expected;
}
Expected take_flow_log_format(const std::string& value, Settings& settings) {
  return read_word(value, {{"compat", FlowLogWords::compat}, {"json", FlowLogWords::json}},
                   settings.flow_log_format);
}
Expected take_flow_log_interval(const std::string& value, Settings& settings) {
  std::int64_t interval_s = 0;
  auto expected = read_number(value, {0, 86'400}, interval_s);
  settings.flow_log_interval = seconds(interval_s);
  return expected;
}
Expected take_flush_period(const std::string& value, Settings& settings) {
  std::int64_t period_s = 0;
  auto expected = read_number(value, {1, 3600}, period_s);
  settings.cloudwatch_flush_period = seconds(period_s);
  return expected;
}
Expected take_cluster_name(const std::string& value, Settings& settings) {
  return read_cluster_name(value, settings.cluster_name);
}
Expected take_run_folder(const std::string& value, Settings& settings) {
  if (!value.empty()) return read_absolute_path(value, settings.run_folder);
  settings.run_folder.clear();
  return std::nullopt;
}
Expected take_node_name(const std::string& value, Settings& settings) {
  return read_node_name(value, settings.node_name);
}

using S = Settings;
constexpr std::int64_t kManyBackups = 1000;

constexpr std::array kTable = {
    Setting{"policy-source", "auto", "auto|kubernetes|policyendpoints|directory", kPolicy,
            "Where policy comes from: NetworkPolicies resolved on this node, the PolicyEndpoints of the\n"
            "Amazon controller, or the manifests of a folder. auto takes what the account may read",
            nullptr, take_policy_source},
    Setting{"policy-directory", "", "PATH", kPolicy,
            "The folder of manifests of --policy-source directory; its changes are followed", nullptr,
            take_text<&S::policy_directory>},
    Setting{"enable-network-policy", "false", "true|false", kPolicy,
            "Enforce. Without it the agent answers the CNI plug-in with success and enforces nothing.\n"
            "It is true by itself with --policy-source directory",
            nullptr, take_switch<&S::enable_network_policy>},
    Setting{"enforcement", "standard", "standard|strict", kPolicy,
            "What holds where no policy decides: standard allows, strict denies",
            "NETWORK_POLICY_ENFORCING_MODE", take_enforcement},
    Setting{"established-flows", "reevaluate", "reevaluate|keep", kPolicy,
            "Whether connections that are open are judged again when policy changes", nullptr,
            take_established_flows},
    Setting{"service-ip-blocks", "auto", "auto|compat|strict", kPolicy,
            "Whether an egress ipBlock may match a ClusterIP: compat yes, as the Amazon agent does;\n"
            "strict no; auto is compat with PolicyEndpoints, else strict",
            nullptr, take_service_ip_blocks},
    Setting{"enforce-interfaces", "primary", "primary|all", kPolicy, "Which interfaces of a pod are enforced",
            nullptr, take_interfaces},

    Setting{"kubeconfig", "", "PATH", kNode,
            "How to reach the API server.\n"
            "Without it: KUBECONFIG, the pod's service account, ~/.kube/config",
            nullptr, take_text<&S::kubeconfig>},
    Setting{"node-name", "", "NAME", kNode, "This node's name in the cluster. Without it: the host's name",
            "MY_NODE_NAME", take_node_name},
    Setting{"cluster-name", "", "NAME", kNode,
            "The cluster's name, for the log group in CloudWatch. Without it: the tag\n"
            "aws:eks:cluster-name of the instance",
            "CLUSTER_NAME", take_cluster_name},
    Setting{"enable-ipv6", "false", "true|false", kNode,
            "Accepted without effect: both families are enforced either way", nullptr,
            take_switch<&S::enable_ipv6>},
    Setting{"netns-directory", "/var/run/netns", "PATH", kNode,
            "Where the network namespaces of pods are to be found", nullptr,
            take_folder<&S::netns_directory>},
    Setting{"grpc-socket", "/var/run/aws-node/npa.sock", "PATH", kNode,
            "The socket on which the CNI plug-in calls. Empty: not served", nullptr,
            take_socket<&S::grpc_socket>},
    Setting{"ipamd-socket", "/var/run/aws-node/ipamd.sock", "PATH", kNode,
            "The socket of the VPC CNI's ipamd, asked for the node's mode and addresses.\n"
            "Empty: not asked",
            nullptr, take_socket<&S::ipamd_socket>},

    Setting{"pin-path", "/sys/fs/bpf/postern", "PATH", kKernel,
            "The folder in a mounted bpffs for programs, links and maps", nullptr, take_folder<&S::pin_path>},
    Setting{"run-folder", "", "PATH", kKernel,
            "The folder in which the agent keeps what postern on this node names pods and rules by.\n"
            "Empty: /var/run/aws-node/postern where there is a /var/run/aws-node, else /run/postern",
            nullptr, take_run_folder},
    Setting{"conntrack-cache-table-size", "262144", "ENTRIES", kKernel,
            "Connections that are tracked at most, from 32768 to 1048576", nullptr,
            take_number<&S::conntrack_table_size, 32'768, 1'048'576>},
    Setting{"table-sizes", "", "NAME=ENTRIES,...", kKernel,
            "Room in the kernel's tables, by the names of the metric postern_table_entries_max, fragments and\n"
            "conntrack (in place of --conntrack-cache-table-size); the others stay as they are",
            nullptr, take_table_sizes},
    Setting{"conntrack-cache-cleanup-period", "300", "SECONDS", kKernel,
            "How often connections that have ended are swept away", nullptr, take_cleanup_period},
    Setting{"conntrack-timeouts", "", "NAME=SECONDS,...", kKernel,
            "How long connections are tracked without a packet: tcp-syn, tcp-established, tcp-fin,\n"
            "tcp-closed, tcp-rst, udp, udp-replied, sctp, icmp; the others stay as they are",
            nullptr, take_conntrack_timeouts},
    Setting{"midflow-grace", "0", "SECONDS", kKernel,
            "Where the node's conntrack is not in use: how long after a pod was isolated TCP packets of\n"
            "connections that may be older pass",
            nullptr, take_midflow_grace},
    Setting{"takeover", "false", "true|false", kKernel,
            "Take over, pod by pod, from an Amazon agent that ran here: its programs and pins go", nullptr,
            take_switch<&S::takeover>},
    Setting{"uninstall", "false", "true|false", kKernel,
            "Remove everything that Postern pinned or attached on this node, and end", nullptr,
            take_switch<&S::uninstall>},

    Setting{"log-level", "debug", "debug|info|warn|error|fatal", kLogs,
            "Below it nothing is logged. While the agent runs: SIGHUP reads the settings again,\n"
            "SIGUSR1 is one level more, SIGUSR2 one less",
            nullptr, take_log_level},
    Setting{"log-file", "/var/run/aws-routed-eni/network-policy-agent.log", "PATH", kLogs,
            "stdout is standard output, empty is standard error", nullptr, take_text<&S::log_file>},
    Setting{"log-file-max-size", "200", "MEGABYTES", kLogs, "Size at which a new log file is begun", nullptr,
            take_number<&S::log_file_max_size_mb, 1, 1'000'000>},
    Setting{"log-file-max-backups", "8", "COUNT", kLogs,
            "Older log files that are kept; 0 is as many as can be, 1000", nullptr,
            take_number<&S::log_file_max_backups, 0, kManyBackups>},
    Setting{"metrics-bind-addr", ":8162", "HOST:PORT", kLogs, "Serves /metrics. Empty or 0: not served",
            nullptr, take_address<&S::metrics_address>},
    Setting{"health-probe-bind-addr", ":8163", "HOST:PORT", kLogs,
            "Serves /healthz and /readyz. Empty or 0: not served", nullptr, take_address<&S::health_address>},
    Setting{"enable-policy-event-logs", "false", "true|false", kLogs,
            "Log flows that are denied, and with --log-level debug new ones that are allowed", nullptr,
            take_switch<&S::enable_policy_event_logs>},
    Setting{"flow-log-format", "compat", "compat|json", kLogs,
            "compat: the words of the Amazon agent's log. json: pods, policy, rule and reason too", nullptr,
            take_flow_log_format},
    Setting{"flow-log-interval", "10", "SECONDS", kLogs,
            "A flow is logged at once, then at most once in so long, with the number in between. 0: always",
            nullptr, take_flow_log_interval},
    Setting{"flow-log-limit", "1000", "LINES", kLogs, "Flows that are logged in a second at most; the rest is counted",
            nullptr, take_number<&S::flow_log_limit, 1, 1'000'000>},
    Setting{"enable-cloudwatch-logs", "false", "true|false", kLogs,
            "Send those verdicts to CloudWatch too; needs --enable-policy-event-logs", nullptr,
            take_switch<&S::enable_cloudwatch_logs>},
    Setting{"cloudwatch-queue-events", "50000", "COUNT", kLogs,
            "Lines that wait for CloudWatch at most; what comes beyond is lost and counted", nullptr,
            take_number<&S::cloudwatch_queue_events, 1, 10'000'000>},
    Setting{"cloudwatch-queue-size", "16", "MEGABYTES", kLogs, "The same bound in bytes", nullptr,
            take_number<&S::cloudwatch_queue_size_mb, 1, 4096>},
    Setting{"cloudwatch-flush-period", "5", "SECONDS", kLogs,
            "A line waits no longer for others to be sent with", nullptr, take_flush_period},

    Setting{"verify-sample", "0", "N", kLogs,
            "Judge one of N live verdicts again by the policy in force; 0: none", nullptr,
            take_number<&S::verify_sample, 0, 1'000'000'000>},
    Setting{"verify-folder", "", "PATH", kLogs, "Where a verdict that differs is written down. Empty: nowhere", nullptr,
            take_text<&S::verify_folder>},

    Setting{"config", "", "FILE", kFile,
            "A YAML mapping of the names on this page, without dashes, to values", nullptr,
            take_text<&S::config_file>},

    Setting{"max-concurrent-reconciles", "3", "COUNT", kAccepted,
            "The Amazon agent takes it, without effect there too", nullptr,
            take_number<&S::max_concurrent_reconciles, 1, 1'000'000>},
    Setting{"enable-profiling", "false", "true|false", kAccepted, "Go's profiler; there is none here",
            nullptr, take_switch<&S::enable_profiling>},
};

}  // namespace

std::string Setting::variable() const {
  std::string text = "POSTERN_";
  for (const char* c = name; *c != '\0'; ++c) {
    const bool letter = *c >= 'a' && *c <= 'z';
    text += *c == '-' ? '_' : letter ? static_cast<char>(*c - 'a' + 'A') : *c;
  }
  return text;
}

std::span<const Setting> setting_table() { return kTable; }

const Setting* find_setting(std::string_view name) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const Setting& setting) { return setting.name == name; });
  return found == kTable.end() ? nullptr : &*found;
}

}  // namespace postern::agent
