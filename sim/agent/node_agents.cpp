// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/node_agents.h"

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
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
  std::vector<std::string> arguments{spec.program,
                                     "agent",
                                     "--enable-network-policy=true",
                                     std::string("--metrics-bind-addr=") + kMetrics,
                                     std::string("--health-probe-bind-addr=") + kHealth,
                                     "--grpc-socket=",
                                     "--ipamd-socket=",
                                     "--log-file=" + spec.folder + "/agent.log",
                                     "--pin-path=" + spec.folder + "/bpf/postern"};
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
  return any;
}

std::string NodeAgent::log_tail() const {
  return tail_of(std::filesystem::path(mount_).parent_path() / "agent.log") + process_->log_tail();
}

}  // namespace postern::sim
