// SPDX-License-Identifier: Apache-2.0
// The command line. CLI11 takes long to compile, so no other file includes it: what was asked for
// leaves here as plain structs.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/settings/setting_table.h"
#include "cli/commands/agent.h"
#include "cli/commands/explain.h"
#include "cli/commands/init.h"
#include "cli/commands/node_conntrack.h"
#include "cli/commands/node_ebpf.h"
#include "cli/commands/node_monitor.h"
#include "cli/commands/node_policy.h"
#include "cli/commands/node_status.h"
#include "cli/commands/node_trace.h"
#include "cli/commands/output.h"
#include "cli/commands/overview.h"
#include "cli/commands/record.h"
#include "cli/commands/replay.h"
#include "cli/commands/resolve.h"
#include "cli/commands/test.h"
#include "cli/commands/version.h"

namespace postern::cli {
namespace {

// An empty value is a variable that somebody forgot to set, not a wish for the default.
std::string not_empty(const std::string& value) {
  return value.empty() ? "found nothing, expected a value" : "";
}

void add_test(CLI::App& app, TestOptions& options, int& status) {
  auto* command = app.add_subcommand(
      "test", "Run scenario files: does what must get through get through, and nothing else?");
  command->add_option("PATH", options.paths, "Scenario files; a folder means every *.yaml below it")
      ->required()
      ->check(not_empty);
  command
      ->add_option("--backend", options.backend,
                   "sim: in memory. tc: real eBPF on network namespaces. all: both, compared. agent: real "
                   "agents that follow an API server")
      ->check(CLI::IsMember({"sim", "tc", "all", "agent"}))
      ->capture_default_str();
  command
      ->add_option("--api-server", options.agent.api_server,
                   "Backend agent: the command that starts the API server; it is given ADDRESS:PORT and "
                   "FOLDER")
      ->check(not_empty);
  command
      ->add_option("--policy-source", options.agent.policy_source,
                   "Backend agent: kubernetes, or policyendpoints, to which NetworkPolicies are resolved first")
      ->check(CLI::IsMember({"kubernetes", "policyendpoints"}))
      ->capture_default_str();
  command->add_option("--cni", options.agent.cni, "Backend agent: the plug-in that makes the interfaces of pods")
      ->check(CLI::IsMember({"ptp", "bridge"}))
      ->capture_default_str();
  command
      ->add_option("--crd", options.agent.crds,
                   "Backend agent: a manifest that defines a custom kind, PolicyEndpoint or ClusterNetworkPolicy; "
                   "repeatable")
      ->allow_extra_args(false)
      ->check(not_empty);
  command
      ->add_option("--filter", options.filters,
                   "Only scenarios whose name matches this glob; repeatable, any of them")
      ->allow_extra_args(false);
  command
      ->add_option("--label", options.labels, "Only scenarios with this key=value; repeatable, all of them")
      ->allow_extra_args(false);
  command->add_option("--shard", options.shard, "Only part I of N of what is selected, as I/N from 1")
      ->check(not_empty);
  command->add_option("--json", options.json, "Write the results to this file as JSON")->check(not_empty);
  command->add_option("--junit", options.junit, "Write the results to this file as JUnit XML")
      ->check(not_empty);
  command
      ->add_option("--via", options.via,
                   "service: ask pods through a Service of their own; no verdict may change")
      ->check(CLI::IsMember({"service"}));
  command->add_flag("--ignore-unsupported", options.ignore_unsupported,
                    "Leave out policy kinds that are not supported");
  command->add_flag("-v,--verbose", options.verbose, "Truth tables of passing scenarios too");
  command->callback([&] { status = run_test(options); });
}

void add_replay(CLI::App& app, ReplayOptions& options, int& status) {
  auto* command = app.add_subcommand("replay", "Judge the packets of captures by the policies of manifests");
  command->add_option("CAPTURE", options.captures, "pcap or pcapng files")->required();
  command
      ->add_option("--manifests", options.manifests, "Files and folders of Kubernetes manifests; repeatable")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--vantage", options.vantage, "Where the captures were taken: pod-veth")
      ->capture_default_str();
  command->add_option("--json", options.json, "Write the result to this file as JSON; - is standard output")
      ->check(not_empty);
  command->add_option("--flows", options.flows, "Rows of the table of flows")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_flag("--fail-on-denied", options.fail_on_denied, "End with status 1 if a packet was denied");
  command->add_flag("--strict", options.strict, "Default deny where no policy decides");
  command->add_flag("--ignore-unsupported", options.ignore_unsupported,
                    "Leave out policy kinds that are not supported");
  command->add_flag("-v,--verbose", options.verbose, "Every flow, not only the most telling");
  command->callback([&] { status = run_replay(options); });
}

void add_explain(CLI::App& app, ExplainOptions& options, int& status) {
  auto* command = app.add_subcommand(
      "explain", "Why a connection passes or not: both ends, rules, isolation, near misses");
  command
      ->add_option("--manifests", options.manifests, "Files and folders of Kubernetes manifests; repeatable")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--from", options.from, "namespace/pod, node:NAME or an address")->required();
  command->add_option("--to", options.to, "namespace/pod, service:namespace/name, node:NAME or an address")
      ->required();
  command->add_option("--port", options.port, "Number, or the name of a port of the pod or Service");
  command->add_option("--family", options.family, "IPv4 or IPv6, where both ends have both; else IPv4")
      ->check(CLI::IsMember({"IPv4", "IPv6"}));
  command->add_option("--protocol", options.protocol, "TCP, UDP, SCTP or ICMP")
      ->check(CLI::IsMember({"TCP", "UDP", "SCTP", "ICMP"}, CLI::ignore_case))
      ->capture_default_str();
  command->add_flag("--strict", options.strict, "Default deny where no policy decides");
  command->add_flag("--ignore-unsupported", options.ignore_unsupported,
                    "Leave out policy kinds that are not supported");
  command->add_flag("--json", options.json, "JSON on standard output instead of words");
  command->callback([&] { status = run_explain(options); });
}

void add_init(CLI::App& app, InitOptions& options, int& status) {
  auto* command = app.add_subcommand("init", "Write a first scenario for manifests: what their policies say today");
  command->add_option("--manifests", options.manifests, "A folder of Kubernetes manifests, or one file")
      ->required()
      ->check(not_empty);
  command->add_option("--output", options.output, "The file to write; - is standard output")
      ->check(not_empty)
      ->capture_default_str();
  command->add_flag("--force", options.force, "Overwrite the file");
  command->callback([&] { status = run_init(options); });
}

void add_record(CLI::App& app, RecordOptions& options, int& status) {
  auto* command =
      app.add_subcommand("record", "Write the smallest scenario that reproduces a verdict of manifests");
  command
      ->add_option("--manifests", options.manifests,
                   "Files and folders of Kubernetes manifests, - is standard input; repeatable")
      ->allow_extra_args(false);
  command->add_flag("--agent", options.agent, "In place of manifests the objects that the agent of this node goes by");
  command->add_option("--run-folder", options.run_folder,
                      "With --agent: its --run-folder. Without it the newest of the usual two");
  command
      ->add_option("--flow", options.flow,
                   "'SRC -> DST:PORT/PROTOCOL': namespace/pod, service:namespace/name, node:NAME or an address, as "
                   "[ADDRESS]:PORT where it is IPv6")
      ->check(not_empty);
  command->add_option("--capture", options.capture, "Take the flow from this pcap or pcapng file")->check(not_empty);
  command->add_option("--packet", options.packet, "The packet of the capture whose flow is meant, from 1")
      ->check(CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()));
  command->add_option("--log", options.log, "Take the flow from a record of a flow log: the line, or a file with it")
      ->check(not_empty);
  command->add_option("--family", options.family, "IPv4 or IPv6, where both ends have both; else IPv4")
      ->check(CLI::IsMember({"IPv4", "IPv6"}));
  command->add_option("-o,--output", options.output, "The file to write; - is standard output")
      ->check(not_empty)
      ->capture_default_str();
  command->add_flag("--force", options.force, "Overwrite the file");
  command->add_flag("--strict", options.strict, "Default deny where no policy decides");
  command->add_flag("--ignore-unsupported", options.ignore_unsupported,
                    "Leave out policy kinds that are not supported");
  command->callback([&] { status = run_record(options); });
}

void add_resolve(CLI::App& app, ResolveOptions& options, int& status) {
  auto* command = app.add_subcommand("resolve", "Print the PolicyEndpoints that NetworkPolicies resolve to");
  command
      ->add_option("--manifests", options.manifests, "Files and folders of Kubernetes manifests; repeatable")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--output", options.output, "The file to write; - is standard output")
      ->check(not_empty)
      ->capture_default_str();
  command
      ->add_option("--chunk-size", options.chunk_size,
                   "Entries in each list of a PolicyEndpoint; what is longer makes several")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--node-ip", options.node_ips,
                   "hostIP of pods that name no node; repeatable, one of each family")
      ->allow_extra_args(false);
  command
      ->add_option("--changed", options.changed,
                   "RFC 3339 time for the annotation networking.k8s.aws/last-change-trigger-time; else none")
      ->check(not_empty);
  command->add_flag("--ignore-unsupported", options.ignore_unsupported,
                    "Leave out policy kinds that are not supported");
  command
      ->add_option("--service-ip-blocks", options.service_ip_blocks,
                   "meaning: blocks are written without the ClusterIPs in them. compat: as they are")
      ->check(CLI::IsMember({"meaning", "compat"}))
      ->capture_default_str();
  command->add_flag("--json", options.json, "One List in JSON instead of YAML documents");
  command->callback([&] { status = run_resolve(options); });
}

// Every setting of the agent's table becomes an option of text; what the text means is read elsewhere, so
// that a wrong flag is told together with wrong variables and a wrong file.
void add_agent(CLI::App& app, AgentOptions& options, int& status) {
  auto* command = app.add_subcommand("agent", "Enforce policy on this node: the daemon of a cluster's nodes");
  command->allow_extras();
  // Names of this length leave no room beside them: every help text goes below its flag.
  auto layout = std::make_shared<CLI::Formatter>();
  layout->column_width(8);
  command->formatter(layout);
  command->footer(
      "Each of them can also be set by a variable, POSTERN_LOG_LEVEL for --log-level and so on, or in the file of\n"
      "--config. A flag counts more than a variable, and that more than the file.");
  std::vector<std::pair<const agent::Setting*, CLI::Option*>> given;
  for (const agent::Setting& setting : agent::setting_table()) {
    const std::string initial = setting.default_text;
    std::string help = setting.help;
    if (setting.known_variable != nullptr) {
      help += std::string("\nAlso set by the variable ") + setting.known_variable;
    }
    auto* option = command->add_option(
        setting.flag(), [](const CLI::results_t&) { return true; }, help);
    option->group(setting.group)
        ->option_text(setting.placeholder + (initial.empty() ? "" : " [" + initial + "]"))
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (setting.is_switch()) option->expected(0, 1)->default_str("true");
    given.emplace_back(&setting, option);
  }
  command->callback([&options, &status, command, given] {
    for (const auto& [setting, option] : given) {
      for (const auto& value : option->results()) options.flags.push_back({setting->name, value});
    }
    options.unexpected = command->remaining();
    status = run_agent_command(options);
  });
}

// What every command that looks at a node takes.
void add_node_options(CLI::App& command, NodeOptions& options) {
  command.add_option("--pin-path", options.pin_path, "Where the agent pins: its --pin-path")->check(not_empty);
  command
      .add_option("--run-folder", options.run_folder,
                  "Where the agent keeps its view: its --run-folder. Without it the newest of the usual two")
      ->check(not_empty);
  command
      .add_option_function<std::string>(
          "--output", [&options](const std::string& form) { options.json = form == "json"; }, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
}

void add_status(CLI::App& app, NodeOptions& options, int& status) {
  auto* command = app.add_subcommand("status", "What is in force on this node: pods, interfaces, policies, counters");
  add_node_options(*command, options);
  command->callback([&] { status = run_status(options); });
}

void add_conntrack(CLI::App& app, ConntrackOptions& options, int& status) {
  auto* command = app.add_subcommand("conntrack", "The connections that are tracked on this node");
  command->require_subcommand(1);
  auto* list = command->add_subcommand("list", "Each connection: who opened it, its state, which rule admitted it");
  auto* flush = command->add_subcommand("flush", "Forget connections: their next packet is judged as a new one's");
  for (auto* sub : {list, flush}) {
    sub->add_option("--pod", options.pod, "Of this pod, namespace/name")->check(not_empty);
    add_node_options(*sub, options.node);
  }
  flush->add_flag("--all", options.all, "Of every pod");
  list->callback([&] { status = run_conntrack_list(options); });
  flush->callback([&] { status = run_conntrack_flush(options); });
}

void add_policy(CLI::App& app, PolicyOptions& options, int& status) {
  auto* command =
      app.add_subcommand("policy", "A pod's tables in the kernel, decoded: who may do what, and by which rule");
  command->add_option("--pod", options.pod, "namespace/name")->required()->check(not_empty);
  command->add_flag("--wide", options.wide, "Every prefix, however many");
  add_node_options(*command, options.node);
  command->callback([&] { status = run_policy(options); });
}

void add_trace(CLI::App& app, TraceOptions& options, int& status) {
  auto* command = app.add_subcommand(
      "trace", "One packet through the kernel's own program, aside, and what the engine says to it");
  command->add_option("--from", options.from, "namespace/pod or an address")->required()->check(not_empty);
  command->add_option("--to", options.to, "namespace/pod or an address")->required()->check(not_empty);
  command->add_option("--port", options.port, "Port of the destination; not with ICMP")->check(CLI::Range(1, 65535));
  command->add_option("--source-port", options.source_port, "Port, or id of an echo, of the source")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command->add_option("--protocol", options.protocol, "TCP, UDP, SCTP or ICMP")
      ->check(CLI::IsMember({"TCP", "UDP", "SCTP", "ICMP"}, CLI::ignore_case))
      ->capture_default_str();
  command->add_option("--family", options.family, "IPv4 or IPv6, where both ends have both; else IPv4")
      ->check(CLI::IsMember({"IPv4", "IPv6"}));
  command
      ->add_option("--manifests", options.manifests,
                   "Explain it by these objects, not by those that the agent has kept; repeatable")
      ->allow_extra_args(false);
  add_node_options(*command, options.node);
  command->callback([&] { status = run_trace(options); });
}

void add_monitor(CLI::App& app, MonitorOptions& options, int& status) {
  auto* command = app.add_subcommand("monitor", "Verdicts as they are made, a line for each judged packet, like tcpdump");
  command->add_option("--pod", options.pod, "Only of this pod, namespace/name")->check(not_empty);
  command->add_option("--verdict", options.verdict, "Only these")->check(CLI::IsMember({"allow", "deny"}));
  command->add_option("--direction", options.direction, "Only this direction of a pod")
      ->check(CLI::IsMember({"ingress", "egress"}));
  command->add_option("--protocol", options.protocol, "Only TCP, UDP, SCTP or ICMP")
      ->check(CLI::IsMember({"TCP", "UDP", "SCTP", "ICMP"}, CLI::ignore_case));
  command->add_option("--port", options.port, "Only with this port on either side")->check(CLI::Range(1, 65535));
  command->add_option("--host", options.host, "Only with this address on either side")->check(not_empty);
  command->add_option("-c,--count", options.count, "End after so many lines")->check(CLI::PositiveNumber);
  add_node_options(*command, options.node);
  command->callback([&] { status = run_monitor(options); });
}

// The commands of the Amazon agent's tool, with its aliases.
void add_ebpf(CLI::App& app, EbpfOptions& options, int& status) {
  auto* command = app.add_subcommand("ebpf", "The commands of aws-eks-na-cli: programs, maps, and what is in them");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* alias, const char* help, int (*run)(const EbpfOptions&)) {
    auto* sub = command->add_subcommand(name, help);
    sub->alias(alias);
    sub->add_flag("--wide", options.wide, "More than the lines of that tool: names, pins, rules");
    add_node_options(*sub, options.node);
    sub->callback([&options, &status, run] { status = run(options); });
    return sub;
  };
  add("progs", "p", "Every BPF program of the machine; without CAP_SYS_ADMIN, Postern's", run_ebpf_progs);
  add("maps", "m", "Every BPF map of the machine; without CAP_SYS_ADMIN, Postern's", run_ebpf_maps);
  add("loaded-ebpfdata", "e", "Of each pod and direction its program and maps", run_ebpf_loaded);
  for (auto* sub : {add("dump-maps", "d", "What is in a map: of a pod, or one of Postern's tables", run_ebpf_dump),
                    add("dump-cp-maps", "dcp", "Cluster-wide policy of a pod", run_ebpf_dump_cluster_policy)}) {
    sub->add_option("ID", options.map_id, "Of loaded-ebpfdata")->required();
  }
}

// As CLI11 wants it: without the program, the last word first.
std::vector<std::string> words_of(int argc, char** argv) {
  if (argc == 0) return {};
  std::vector<std::string> words(argv + 1, argv + argc);
  // The Amazon agent's container starts /controller with the agent's flags.
  const std::string_view program = argv[0];
  if (program.substr(program.rfind('/') + 1) == "controller") words.insert(words.begin(), "agent");
  if (!words.empty() && words.front() == "agent") {
    // CLI11 takes the word after "--log-file=" for its value.
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!words[i].starts_with("--") || words[i].find('=') != words[i].size() - 1) continue;
      words[i].pop_back();
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, "");
    }
  }
  std::reverse(words.begin(), words.end());
  return words;
}

// Called by its tool's name, this program shows what that tool shows: one family.
EbpfNames names_of(int argc, char** argv) {
  const std::string_view program = argc == 0 ? "" : argv[0];
  const auto name = program.substr(program.rfind('/') + 1);
  if (name == "aws-eks-na-cli") return EbpfNames::amazon_v4;
  return name == "aws-eks-na-cli-v6" ? EbpfNames::amazon_v6 : EbpfNames::both;
}

int run(int argc, char** argv) {
  int status = 0;
  AgentOptions agent;
  TestOptions test;
  test.argv.assign(argv, argv + argc);
  ReplayOptions replay;
  ExplainOptions explain;
  InitOptions init;
  RecordOptions record;
  ResolveOptions resolve;
  NodeOptions node;
  ConntrackOptions conntrack;
  PolicyOptions policy;
  TraceOptions trace;
  MonitorOptions monitor;
  EbpfOptions ebpf;
  ebpf.names = names_of(argc, argv);

  CLI::App app{"Kubernetes NetworkPolicy: tested offline, enforced with eBPF", "postern"};
  bool wants_version = false;
  app.add_flag("--version", wants_version, "This build, the kernel's features, and what cannot run here");
  app.require_subcommand(0, 1);
  add_test(app, test, status);
  add_replay(app, replay, status);
  add_explain(app, explain, status);
  add_init(app, init, status);
  add_record(app, record, status);
  add_resolve(app, resolve, status);
  add_agent(app, agent, status);
  add_status(app, node, status);
  add_policy(app, policy, status);
  add_conntrack(app, conntrack, status);
  add_trace(app, trace, status);
  add_monitor(app, monitor, status);
  add_ebpf(app, ebpf, status);
  try {
    app.parse(words_of(argc, argv));
  } catch (const CLI::ParseError& error) {
    // A wrong command line is no failed scenario: 2, as for a file that cannot be read.
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (wants_version) return run_version();
  if (app.get_subcommands().empty()) return run_overview();
  return status;
}

}  // namespace
}  // namespace postern::cli

int main(int argc, char** argv) { return postern::cli::close_output(postern::cli::run(argc, argv)); }
