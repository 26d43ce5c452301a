// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/test_backends.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

#include "sim/virtual/virtual_cluster.h"
#ifdef POSTERN_HAS_NATIVE
#include "backends/native/native_backend.h"
#endif
#ifdef POSTERN_HAS_TC
#include "backends/tc/tc_backend.h"
#endif
#ifdef POSTERN_HAS_SIM_NETNS
#include "sim/netns/netns_cluster.h"
#include "sim/netns/sandbox.h"
#endif

namespace postern::cli {

namespace {

bool is_plain(const std::string& word) {
  return !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                 "_@%+=:,./-") == std::string::npos;
}

std::string quoted(const std::string& word) {
  if (is_plain(word)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

Result<std::unique_ptr<sim::Cluster>> make_sim() {
#ifdef POSTERN_HAS_NATIVE
  return std::make_unique<sim::VirtualCluster>("sim", make_native_backend);
#else
  return fail(ErrorCode::unsupported, "this build has no native backend");
#endif
}

Result<std::unique_ptr<sim::Cluster>> make_tc() {
#if defined(POSTERN_HAS_TC) && defined(POSTERN_HAS_SIM_NETNS)
  // A developer's door: another BPF object in place of the embedded one, to see the suite catch it.
  TcOptions options;
  if (const char* object = std::getenv("POSTERN_BPF_OBJECT")) options.object_path = object;
  return sim::make_netns_cluster([options](const TableSizes& sizes) { return make_tc_backend(sizes, options); });
#else
  return fail(ErrorCode::unsupported, "this build has no kernel backend");
#endif
}

}  // namespace

std::string sudo_command(const std::vector<std::string>& argv) {
  std::string text = "sudo";
  for (std::size_t i = 0; i < argv.size(); ++i) {
    std::string word = argv[i];
    // A bare name was found on a PATH that sudo may not have.
    if (i == 0 && word.find('/') == std::string::npos) {
      std::array<char, PATH_MAX> path{};
      const auto length = readlink("/proc/self/exe", path.data(), path.size());
      if (length > 0) word.assign(path.data(), static_cast<std::size_t>(length));
    }
    text += ' ' + quoted(word);
  }
  return text;
}

BackendFactory replay_backend() {
#ifdef POSTERN_HAS_NATIVE
  return make_native_backend;
#else
  return {};
#endif
}

Result<void> prepare_backends(const std::string& backend, const std::vector<std::string>& argv) {
  if (backend == "sim") return {};
#ifdef POSTERN_HAS_SIM_NETNS
  auto inside = sim::enter_sandbox();
  if (inside || inside.error().code != ErrorCode::permission) return inside;
  return fail(ErrorCode::permission, "the kernel backend cannot start: " + inside.error().message +
                                         "\nthis would work: " + sudo_command(argv));
#else
  (void)argv;
  return {};
#endif
}

Result<std::vector<std::unique_ptr<sim::Cluster>>> make_clusters(const std::string& backend) {
  std::vector<std::unique_ptr<sim::Cluster>> clusters;
  if (backend != "tc") {
    auto cluster = make_sim();
    if (!cluster) return fail_as(cluster);
    clusters.push_back(std::move(*cluster));
  }
  if (backend != "sim") {
    auto cluster = make_tc();
    if (!cluster) return fail_as(cluster);
    clusters.push_back(std::move(*cluster));
  }
  return clusters;
}

}  // namespace postern::cli
