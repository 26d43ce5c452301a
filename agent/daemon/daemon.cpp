// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/daemon.h"

#include <prometheus/registry.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <future>
#include <map>
#include <optional>
#include <utility>

#include "agent/cloudwatch/cloudwatch_log.h"
#include "agent/conntrack/cleanup_loop.h"
#include "agent/conntrack/connection_count.h"
#include "agent/daemon/cni_gate.h"
#include "agent/daemon/host_watch.h"
#include "agent/daemon/node_metrics.h"
#include "agent/daemon/traffic_metrics.h"
#include "agent/flow/flow_log.h"
#include "agent/flow/self_check.h"
#include "agent/http/http_server.h"
#include "agent/kube/api_client.h"
#include "agent/kube/cluster_config.h"
#include "agent/log/log.h"
#include "agent/rpc/ipamd_client.h"
#include "agent/rpc/rpc_server.h"
#include "agent/settings/read_settings.h"
#include "agent/source/auto_source.h"
#include "agent/source/directory_source.h"
#include "agent/source/kubernetes_source.h"
#include "agent/view/run_folder.h"
#include "agent/view/view_writer.h"
#include "engine/compile/table_sizes.h"
#include "net/conntrack_dump.h"

namespace postern::agent {
namespace {

constexpr Duration kBeat = seconds(1);
// A resource that cannot be followed is said again this often, with its age.
constexpr Duration kStaleWarning = seconds(300);
constexpr std::uint32_t kWaysOfBucket = 8;  // engine/abi/conntrack.h
constexpr std::chrono::milliseconds kPagePatience{500};

std::uint64_t random_number() {
  std::uint64_t number = 0;
  // Fails for no length of this size once the system is up.
  if (getrandom(&number, sizeof number, 0) != sizeof number) return 0;
  return number;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

TableSizes sizes_for(const Settings& settings) {
  TableSizes sizes;
  set_entries(sizes, kConntrackTable, settings.conntrack_table_size);
  for (const auto& [name, entries] : settings.table_sizes) set_entries(sizes, name, entries);
  return sizes;
}

// The timeouts in force; nothing before the first policy is.
std::optional<pn_node> node_in_force(const NodeEnforcer& enforcer) {
  pn_node node{};
  std::memcpy(&node, enforcer.tables().array(TableId::node).data(), sizeof node);
  if (node.timeouts[PN_TIMEOUT_TCP_ESTABLISHED] == 0) return std::nullopt;
  return node;
}

// What the backend found at its start. A pinned table of connections keeps its size, and one that is
// smaller than the node's own evicts connections that the node still tracks.
void say_how_it_began(Backend& backend, const TableSizes& asked) {
  const bool as_asked = backend.sizes().conntrack_buckets == asked.conntrack_buckets;
  for (const auto& note : backend.take_notes()) {
    if (as_asked) {
      log_info("{}", note);
    } else {
      log_warn("{}", note);
    }
  }
  const std::uint64_t room = std::uint64_t{backend.sizes().conntrack_buckets} * kWaysOfBucket;
  const auto most = nf_conntrack_number("nf_conntrack_max");
  if (most && room < *most) {
    log_warn("the table of connections has room for {}, fewer than nf_conntrack_max={} of this node; "
             "--conntrack-cache-table-size sets it",
             room, *most);
  }
}

EnforcerSettings enforcer_settings(const Settings& settings) {
  EnforcerSettings enforcer;
  enforcer.strict = settings.strict;
  enforcer.established_flows =
      settings.keep_established_flows ? EstablishedFlows::keep : EstablishedFlows::reevaluate;
  enforcer.events = event_mode_for(settings.enable_policy_event_logs, settings.verify_sample != 0, settings.log_level);
  enforcer.hash_secret = random_number();
  enforcer.timeouts = settings.conntrack_timeouts;
  enforcer.midflow_grace = settings.midflow_grace;
  switch (settings.service_ip_blocks) {
    case agent::ServiceIpBlocks::automatic: break;
    case agent::ServiceIpBlocks::compat: enforcer.service_ip_blocks = postern::ServiceIpBlocks::compat; break;
    case agent::ServiceIpBlocks::strict: enforcer.service_ip_blocks = postern::ServiceIpBlocks::meaning; break;
  }
  return enforcer;
}

}  // namespace

// In the order in which they need each other: what is below goes first.
struct Daemon::Parts {
  Parts(EventLoop& on, const Settings& of, Kernel with) : loop(on), settings(of), kernel(std::move(with)) {}
  ~Parts() {
    loop.cancel(beat_timer);
    http.reset();
  }

  Result<void> start();
  [[nodiscard]] bool wants_rpc() const;
  Result<void> start_disabled();
  Result<void> start_enforcing();
  Result<std::unique_ptr<PolicySource>> make_source();
  Result<void> connect();
  void ask_ipamd();
  void start_cloudwatch();
  void make_strict(const std::string& who);
  void beat();
  void tell();
  void warn_of_staleness(Instant now);
  Result<void> start_flow_log();
  void start_self_check();
  void follow_level();
  void policy_in_force(std::optional<Duration> waited);
  void read_kernel();
  void refresh_metrics();
  void start_cleanup();

  EventLoop& loop;
  Settings settings;
  Kernel kernel;
  HealthState health;
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::unique_ptr<NodeMetrics> metrics;
  std::unique_ptr<TrafficMetrics> traffic;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<kube::ApiClient> api;
  EnforcerSettings enforcing;
  std::unique_ptr<NodeEnforcer> enforcer;
  std::unique_ptr<CleanupLoop> cleanup;
  std::unique_ptr<ConnectionCount> connections;  // there where clean-up is
  std::unique_ptr<HostWatch> host;
  std::unique_ptr<SelfCheck> check;
  std::unique_ptr<cloudwatch::CloudWatchLog> cloudwatch;  // where records of flows go too; or none
  std::unique_ptr<FlowLog> flows;
  TriggerTimes triggers;
  std::unique_ptr<PolicySource> source;
  std::unique_ptr<NodeAgent> node;
  std::unique_ptr<ViewWriter> view;
  std::unique_ptr<PodGate> gate;
  CniGate* cni_gate = nullptr;  // the gate, where policy is enforced
  std::unique_ptr<RpcServer> rpc;
  std::unique_ptr<IpamdClient> ipamd;
  EventLoop::TimerId beat_timer = 0;
  std::map<std::string, Instant> stale_said;  // by resource: when it was last said
};

namespace {

// Behind a server that answers without asking.
class NoGate final : public PodGate {
 public:
  void enforce(const PodRequest&, Done done) override { done({}); }
  void remove(const NamespacedName&, Done done) override { done({}); }
};

}  // namespace

Result<void> Daemon::Parts::start() {
  HttpOptions pages{settings.metrics_address, settings.health_address, [this] { refresh_metrics(); }};
  auto served = HttpServer::start(pages, health, registry);
  if (!served) return fail_as(served);
  http = std::move(*served);
  auto started = settings.enable_network_policy ? start_enforcing() : start_disabled();
  if (!started) return started;
  if (wants_rpc()) {
    RpcServerOptions options;
    options.socket = settings.grpc_socket;
    options.policy_enabled = settings.enable_network_policy;
    auto server = RpcServer::start(options, loop, *gate);
    if (!server) return fail_as(server);
    rpc = std::move(*server);
  }
  beat();
  return {};
}

// Off Amazon's nodes nobody calls at the default place, and its folder is not there.
bool Daemon::Parts::wants_rpc() const {
  if (settings.grpc_socket.empty()) return false;
  std::error_code error;
  const auto folder = std::filesystem::path(settings.grpc_socket).parent_path();
  if (settings.is_set("grpc-socket") || std::filesystem::is_directory(folder, error)) return true;
  log_info("no CNI plug-in is served: there is no folder {}", folder.string());
  return false;
}

Result<void> Daemon::Parts::start_disabled() {
  log_info("network policy is disabled (--enable-network-policy=false): nothing is enforced");
  auto removed = kernel.remove_all();
  if (!removed) return fail_as(removed);
  for (const auto& line : *removed) log_info("removed {}", line);
  gate = std::make_unique<NoGate>();
  health.set_ready();
  return {};
}

Result<void> Daemon::Parts::start_enforcing() {
  metrics = std::make_unique<NodeMetrics>(*registry);
  traffic = std::make_unique<TrafficMetrics>(*registry, settings.enable_policy_event_logs);
  if (settings.node_name.empty()) settings.node_name = host_name();
  // Before the kernel is touched: most of what is wrong with a start is wrong here.
  auto made = make_source();
  if (!made) return fail_as(made);
  source = std::move(*made);

  auto backend = kernel.make_backend(sizes_for(settings));
  if (!backend) return fail_as(backend);
  enforcing = enforcer_settings(settings);
  enforcer = std::make_unique<NodeEnforcer>(std::move(*backend), enforcing);
  say_how_it_began(enforcer->backend(), sizes_for(settings));
  start_cleanup();

  auto watch = HostWatch::start(loop, [this] {
    if (node) node->network_changed();
  });
  if (!watch) return fail_as(watch);
  host = std::move(*watch);

  NodeAgentOptions options;
  options.node_name = settings.node_name;
  options.any_node = settings.policy_source == PolicySourceKind::directory;
  options.all_interfaces = settings.enforce_interfaces == EnforceInterfaces::all;
  if (settings.takeover) options.after_attach = kernel.take_over;
  options.in_force = [this](std::optional<Duration> waited) { policy_in_force(waited); };
  node = std::make_unique<NodeAgent>(loop, *host, *source, *enforcer, std::move(options));
  const std::string folder = settings.run_folder.empty() ? default_run_folder() : settings.run_folder;
  view = std::make_unique<ViewWriter>(loop, *node, *source, *enforcer, ViewWriterOptions{folder, settings.node_name, kernel.objects_text});
  node->on_status([this] { tell(); });
  auto cni = std::make_unique<CniGate>(*node, [this] { make_strict("the CNI plug-in"); });
  cni_gate = cni.get();
  gate = std::move(cni);
  log_info("node {}, policy source {}", settings.node_name, source->name());
  if (settings.enable_cloudwatch_logs) start_cloudwatch();
  ask_ipamd();
  if (auto started = start_flow_log(); !started) return started;
  return node->start();
}

void Daemon::Parts::start_cleanup() {
  ConnectionTable* const table = enforcer->backend().connection_table();
  if (table == nullptr) return;
  CleanupOptions options;
  options.period = settings.conntrack_cleanup_period;
  options.tick_ns = enforcer->backend().clock().tick_ns;
  options.node = [this] { return node_in_force(*enforcer); };
  cleanup = std::make_unique<CleanupLoop>(loop, *table, std::move(options), make_node_conntrack());
  connections = std::make_unique<ConnectionCount>(loop, *table);
}

Result<void> Daemon::Parts::connect() {
  auto config = kube::find_cluster_config(kube::ConfigSources::of_environment(settings.kubeconfig));
  if (!config) return fail_as(config);
  log_info("API server {} ({})", config->server, config->origin);
  auto client = kube::ApiClient::make(loop, std::move(*config));
  if (!client) return fail_as(client);
  api = std::move(*client);
  return {};
}

Result<std::unique_ptr<PolicySource>> Daemon::Parts::make_source() {
  using Policies = KubernetesSource::Policies;
  if (settings.policy_source == PolicySourceKind::directory) {
    return std::make_unique<DirectorySource>(loop, settings.policy_directory);
  }
  if (auto connected = connect(); !connected) return fail_as(connected);
  const std::uint64_t seed = random_number();
  const auto options = [&](Policies policies) {
    return KubernetesSource::Options{policies, settings.node_name, seed};
  };
  switch (settings.policy_source) {
    case PolicySourceKind::kubernetes:
      return std::make_unique<KubernetesSource>(loop, *api, options(Policies::network_policies));
    case PolicySourceKind::policyendpoints:
      return std::make_unique<KubernetesSource>(loop, *api, options(Policies::policy_endpoints));
    case PolicySourceKind::automatic:
    case PolicySourceKind::directory: break;
  }
  return std::make_unique<AutoSource>(loop, *api, settings.node_name, seed);
}

// What enforces does not depend on where its logs go.
void Daemon::Parts::start_cloudwatch() {
  cloudwatch::CloudWatchOptions options;
  options.environment = aws::read_aws_environment(environment_variable);
  options.cluster_name = settings.cluster_name;
  options.delivery.most_events = settings.cloudwatch_queue_events;
  options.delivery.most_bytes = settings.cloudwatch_queue_size_mb << 20;
  options.delivery.flush_after = settings.cloudwatch_flush_period;
  auto started = cloudwatch::CloudWatchLog::start(loop, std::move(options));
  if (started) {
    cloudwatch = std::move(*started);
  } else {
    log_error("nothing is sent to CloudWatch: {}", started.error().to_string());
  }
}

// On a node of the VPC CNI its daemon knows the mode; elsewhere nobody is asked.
void Daemon::Parts::ask_ipamd() {
  if (settings.ipamd_socket.empty()) return;
  IpamdOptions options;
  options.socket = settings.ipamd_socket;
  ipamd = IpamdClient::ask(loop, options, [this](const Result<NodeConfig>& answer) {
    if (!answer) {
      if (answer.error().code == ErrorCode::not_found) return;  // no node of the VPC CNI
      log_warn("asking ipamd: {}", answer.error().to_string());
      return;
    }
    if (answer->strict.value_or(false)) make_strict("ipamd");
  });
}

Result<void> Daemon::Parts::start_flow_log() {
  if (!settings.enable_policy_event_logs && settings.verify_sample == 0) return {};
  FlowSources sources;
  sources.node = settings.node_name;
  sources.policy = [this]() -> const ResolvedPolicy& { return enforcer->policy(); };
  sources.rules = [this]() -> const RuleRegistry& { return enforcer->rules(); };
  sources.cluster = [this]() -> const ClusterSnapshot& { return source->cluster(); };
  sources.interface_name = [this](std::uint32_t ifindex) {
    const auto& links = host->picture().links;
    const auto found = links.find(ifindex);
    return found == links.end() ? std::string() : found->second.name;
  };
  FlowLogOptions options;
  options.format = settings.flow_log_format == FlowLogWords::json ? FlowLogFormat::json : FlowLogFormat::compat;
  options.silent = !settings.enable_policy_event_logs;
  options.limits.interval = settings.flow_log_interval;
  options.limits.per_second = settings.flow_log_limit;
  flows = std::make_unique<FlowLog>(loop, enforcer->backend(), std::move(sources), options);
  start_self_check();
  if (cloudwatch) {
    flows->forward([this](std::int64_t unix_ms, std::string_view message) { cloudwatch->add(unix_ms, message); });
  }
  return flows->start();
}

void Daemon::Parts::start_self_check() {
  if (settings.verify_sample == 0) return;
  SelfCheckSources sources;
  sources.policy = [this]() -> const ResolvedPolicy& { return enforcer->policy(); };
  sources.cluster = [this]() -> const ClusterSnapshot& { return source->cluster(); };
  sources.name = [this](const pn_event& event) { return flows->name(event); };
  sources.scenario = kernel.scenario_of;
  check = std::make_unique<SelfCheck>(SelfCheckOptions{settings.verify_sample, settings.verify_folder},
                                      std::move(sources));
  flows->witness([this](const pn_event& event) { check->take(event); });
}

// New flows that are allowed make events only while somebody wants to see them.
void Daemon::Parts::follow_level() {
  const EventMode wanted = event_mode_for(settings.enable_policy_event_logs, settings.verify_sample != 0, log_level());
  if (wanted == enforcing.events) return;
  enforcing.events = wanted;
  enforcer->set_settings(enforcing);
  node->network_changed();
}

void Daemon::Parts::policy_in_force(std::optional<Duration> waited) {
  if (flows) flows->cluster_changed();
  if (check) check->policy_in_force(EventLoop::now());
  if (waited) traffic->policy_in_force(*waited);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t unix_ns = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  for (const auto& moment : triggers.take(source->cluster().policy_endpoints)) {
    if (const auto passed = seconds_since(moment, unix_ns)) traffic->policy_endpoint_in_force(*passed);
  }
}

// What only the kernel knows, and what is dear to ask for; connections are counted aside. Events that lie in the
// ring are taken first, so that one page agrees with itself.
void Daemon::Parts::read_kernel() {
  if (flows) flows->drain();
  const Backend& backend = enforcer->backend();
  if (const auto counters = backend.counters()) traffic->set_counters(*counters);
  if (flows) traffic->set_flow_log(flows->counts(), flows->limiter().evicted());
  if (check) traffic->set_self_check(check->counts());
  if (cloudwatch) traffic->set_cloudwatch(cloudwatch->counters());
  traffic->set_tables(enforcer->table_use());
  traffic->set_seeded(enforcer->seeded());
  if (!connections) return;
  connections->ask();
  traffic->set_connections(connections->entries(), std::size_t{backend.sizes().conntrack_buckets} * kWaysOfBucket);
}

// On the thread of the page. The loop may be busy, or not run any more: the page then has what was known.
void Daemon::Parts::refresh_metrics() {
  auto done = std::make_shared<std::promise<void>>();
  auto told = done->get_future();
  loop.post([this, done] {
    if (node) {
      read_kernel();
      tell();
    }
    done->set_value();
  });
  told.wait_for(kPagePatience);
}

void Daemon::Parts::make_strict(const std::string& who) {
  if (settings.strict) return;
  settings.strict = true;
  log_info("enforcement is strict from now on, as {} says", who);
  enforcing.strict = true;
  enforcer->set_settings(enforcing);
  node->network_changed();
}

void Daemon::Parts::beat() {
  const Instant now = EventLoop::now();
  health.beat(now);
  if (node) {
    tell();
    warn_of_staleness(now);
    follow_level();
  }
  beat_timer = loop.after(kBeat, [this] { beat(); });
}

void Daemon::Parts::tell() {
  const Instant now = EventLoop::now();
  const auto& status = node->status();
  if (check && !status.failure.empty()) check->policy_failed();
  if (status.ready) {
    health.set_ready();
  } else {
    health.set_not_ready(node->waits_for({}));
  }
  metrics->set_node(*node, now);
  metrics->set_source(source->status(), status.ready && !status.pending && status.failure.empty(), now);
  if (cleanup) metrics->set_cleanup(cleanup->numbers());
  if (cni_gate != nullptr) cni_gate->tell();
  view->told();
}

void Daemon::Parts::warn_of_staleness(Instant now) {
  for (const auto& status : source->status()) {
    if (status.state != SourceStatus::State::failing) {
      stale_said.erase(status.resource);
      continue;
    }
    const auto [said, first] = stale_said.emplace(status.resource, status.since);
    if (now - said->second < kStaleWarning) continue;
    said->second = now;
    log_warn("{} cannot be followed for {} s: {}; what was seen before stays in force", status.resource,
             (now - status.since).ns / 1'000'000'000, status.detail);
  }
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

bool Daemon::finish(std::function<void()> done) {
  if (parts_->flows) parts_->flows->drain();
  if (!parts_->cloudwatch || parts_->cloudwatch->counters().held_events == 0) return false;
  log_info("{} lines still wait for CloudWatch", parts_->cloudwatch->counters().held_events);
  parts_->cloudwatch->finish(kFarewell, std::move(done));
  return true;
}

Result<std::unique_ptr<Daemon>> Daemon::start(EventLoop& loop, const Settings& settings, Kernel kernel) {
  auto parts = std::make_unique<Parts>(loop, settings, std::move(kernel));
  if (auto started = parts->start(); !started) return fail_as(started);
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

}  // namespace postern::agent
