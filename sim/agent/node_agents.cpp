// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/node_agents.h"

#include <sys/mount.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "net/system_error.h"

namespace postern::sim {
namespace {

constexpr const char* kMetrics = "127.0.0.1:8162";
constexpr const char* kHealth = "127.0.0.1:8163";
// Pods that stand here and are not enforced, as nobody knows yet where.
constexpr std::string_view kUnknownPods = "postern_pods{interface=\"unknown\"} ";
constexpr std::string_view kInForce = "postern_source_version_in_force{resource=\"";

// Exactly what deploy/base lists, in every set that a container has; as setpriv takes it, and as bits.
constexpr const char* kCapabilities = "-all,+bpf,+net_admin,+perfmon";
constexpr std::uint64_t kCapabilityBits = 1ULL << 39 | 1ULL << 12 | 1ULL << 38;

// An agent with more rights would pass where the one of a real node fails.
Result<void> check_capabilities(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/status";
  std::map<std::string, std::string> fields;
  std::ifstream status(path);
  for (std::string line; std::getline(status, line);) {
    if (const auto colon = line.find(":\t"); colon != std::string::npos) {
      fields[line.substr(0, colon)] = line.substr(colon + 2);
    }
  }
  static constexpr std::array<const char*, 4> kSets{"CapInh", "CapPrm", "CapEff", "CapBnd"};
  for (const char* set : kSets) {
    const std::string& held = fields[set];
    if (!held.empty() && std::strtoull(held.c_str(), nullptr, 16) == kCapabilityBits) continue;
    return fail(ErrorCode::internal, path + ": " + set + " is " + (held.empty() ? "not there" : held) +
                                         ", expected CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
  }
  return {};
}

// Resource -> version, of the lines `name{resource="pods"} 123`.
std::map<std::string, double> versions_in(const std::string& metrics) {
  std::map<std::string, double> versions;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kInForce, 0) != 0) continue;
    const std::size_t end = line.find('"', kInForce.size());
    const std::size_t value = line.find("} ", end == std::string::npos ? 0 : end);
    if (end == std::string::npos || value == std::string::npos) continue;
    versions[line.substr(kInForce.size(), end - kInForce.size())] =
        std::strtod(line.c_str() + value + 2, nullptr);
  }
  return versions;
}

bool misses_pods(const std::string& metrics) {
  const std::size_t at = metrics.find("\n" + std::string(kUnknownPods));
  return at == std::string::npos || std::strtod(metrics.c_str() + at + 1 + kUnknownPods.size(), nullptr) != 0;
}

Result<void> mount_bpffs(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::io, "cannot make " + folder + ": " + error.message());
  if (::mount("bpf", folder.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return tl::unexpected(system_error("cannot mount a BPF file system on " + folder));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<NodeAgent>> NodeAgent::start(const Netns& node, const Spec& spec) {
  if (auto done = mount_bpffs(spec.folder + "/bpf"); !done) return fail_as(done);
  auto session = HttpSession::open(node);
  if (!session) return fail_as(session);
  std::vector<std::string> arguments{"setpriv",
                                     "--no-new-privs",
                                     "--inh-caps",
                                     kCapabilities,
                                     "--bounding-set",
                                     kCapabilities,
                                     spec.program,
                                     "agent",
                                     "--enable-network-policy=true",
                                     std::string("--metrics-bind-addr=") + kMetrics,
                                     std::string("--health-probe-bind-addr=") + kHealth,
                                     "--grpc-socket=",
                                     "--ipamd-socket=",
                                     "--log-file=" + spec.folder + "/agent.log",
                                     "--pin-path=" + spec.folder + "/bpf/postern",
                                     "--run-folder=" + spec.folder + "/run"};
  arguments.insert(arguments.end(), spec.flags.begin(), spec.flags.end());
  auto process = ChildProcess::start(node, std::move(arguments), spec.folder + "/output.log");
  if (!process) {
    ::umount2((spec.folder + "/bpf").c_str(), MNT_DETACH);
    return fail_as(process);
  }
  return std::unique_ptr<NodeAgent>(new NodeAgent(std::move(*process), std::move(*session), spec.folder));
}

// Pins go with their file system, and programs and attachments with the pins.
NodeAgent::~NodeAgent() {
  process_.reset();
  ::umount2(mount_.c_str(), MNT_DETACH);
}

Result<bool> NodeAgent::has_in_force(const std::map<std::string, double>& versions) {
  if (const auto ended = process_->ended()) {
    return fail(ErrorCode::io, "the agent " + *ended + "\n" + log_tail());
  }
  const auto reply = session_.ask({"GET", std::string("http://") + kMetrics + "/metrics"});
  if (!reply || reply->code != 200 || misses_pods(reply->body)) return false;  // not yet
  const auto there = versions_in(reply->body);
  bool any = false;
  for (const auto& [resource, version] : versions) {
    const auto found = there.find(resource);
    if (found == there.end()) continue;
    any = true;
    if (found->second < version) return false;
  }
  if (any) {
    if (auto right = check_capabilities(process_->pid()); !right) return fail_as(right);
  }
  return any;
}

std::string NodeAgent::log_tail() const {
  return tail_of(std::filesystem::path(mount_).parent_path() / "agent.log") + process_->log_tail();
}

}  // namespace postern::sim
