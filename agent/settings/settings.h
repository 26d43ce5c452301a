// SPDX-License-Identifier: Apache-2.0
// What the agent was told: one value for every flag, already checked. The initial values here are not
// the defaults; those stand in the table (setting_table.h), and read_settings() applies them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/log/log_level.h"
#include "agent/settings/bind_address.h"
#include "engine/base/time.h"
#include "engine/compile/table_compiler.h"

namespace postern::agent {

enum class PolicySourceKind : std::uint8_t { automatic, kubernetes, policyendpoints, directory };
enum class EnforceInterfaces : std::uint8_t { primary, all };
enum class ServiceIpBlocks : std::uint8_t { automatic, compat, strict };  // R46
enum class FlowLogWords : std::uint8_t { compat, json };

struct Settings {
  // Policy
  PolicySourceKind policy_source{};
  std::string policy_directory;  // empty unless the source is directory
  bool enable_network_policy{};
  bool strict{};                  // --enforcement (R25), unless the CNI says otherwise for the node or a pod
  bool keep_established_flows{};  // --established-flows (R14)
  ServiceIpBlocks service_ip_blocks{};
  EnforceInterfaces enforce_interfaces{};

  // Kubernetes and node
  std::string kubeconfig;    // empty: KUBECONFIG, then in the cluster, then the home directory
  std::string node_name;     // empty: the host's name
  std::string cluster_name;  // empty: the instance's tag says it
  bool enable_ipv6{};        // the node's address is its IPv6 one; both families are enforced either way
  std::string netns_directory;
  std::string grpc_socket;   // empty: not served
  std::string ipamd_socket;  // empty: not asked

  // Kernel
  std::string pin_path;
  std::string run_folder;  // empty: agent/view/run_folder.h chooses
  std::uint32_t conntrack_table_size{};  // entries
  std::map<std::string, std::uint32_t> table_sizes;  // entries, by names of engine/compile/table_sizes.h
  Duration conntrack_cleanup_period{};
  ConntrackTimeouts conntrack_timeouts;  // R25b
  Duration midflow_grace{};              // R40
  bool takeover{};
  bool uninstall{};

  // Logs and endpoints
  LogLevel log_level{};
  std::string log_file;  // "stdout"; empty: standard error
  std::size_t log_file_max_size_mb{};
  std::size_t log_file_max_backups{};
  BindAddress metrics_address;
  BindAddress health_address;
  bool enable_policy_event_logs{};
  FlowLogWords flow_log_format{};
  Duration flow_log_interval{};  // of one flow; 0: every event
  std::uint32_t flow_log_limit{};  // lines a second
  bool enable_cloudwatch_logs{};
  std::uint32_t verify_sample{};  // one of so many events; 0: none
  std::string verify_folder;      // empty: none
  std::size_t cloudwatch_queue_events{};
  std::size_t cloudwatch_queue_size_mb{};
  Duration cloudwatch_flush_period{};

  // Taken, without effect
  bool enable_profiling{};
  std::uint32_t max_concurrent_reconciles{};

  std::string config_file;  // empty: none

  // Flag name -> where its value comes from: "--log-level", "POSTERN_LOG_LEVEL", "agent.yaml:3:12". What
  // has its default is not in here.
  std::map<std::string, std::string, std::less<>> set_where;
  [[nodiscard]] bool is_set(const std::string& flag) const { return set_where.contains(flag); }
};

// A line for every setting that asks for something this version takes without doing it.
std::vector<std::string> not_yet(const Settings& settings);

}  // namespace postern::agent
