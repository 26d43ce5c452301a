// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/cluster_config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "engine/base/ip.h"

namespace postern::agent::kube {

namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  // An empty variable is as good as none, as it is for kubectl.
  return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

bool exists(const std::string& path) { return std::ifstream(path).good() || errno == EACCES; }

}  // namespace

ConfigSources ConfigSources::of_environment(std::string flag) {
  ConfigSources sources;
  sources.flag = std::move(flag);
  sources.kubeconfig = variable("KUBECONFIG");
  sources.service_host = variable("KUBERNETES_SERVICE_HOST");
  sources.service_port = variable("KUBERNETES_SERVICE_PORT");
  sources.home = variable("HOME");
  return sources;
}

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (file && !text.str().empty()) return text.str();
  const int why = errno;
  if (file.is_open() && why == 0) return std::string();  // an empty file
  const ErrorCode code = why == ENOENT   ? ErrorCode::not_found
                         : why == EACCES ? ErrorCode::permission
                                         : ErrorCode::io;
  return fail(code, path + ": " + std::generic_category().message(why == 0 ? EIO : why));
}

std::optional<std::string> decode_base64(std::string_view text) {
  const auto value_of = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
  };
  std::string bytes;
  std::uint32_t bits = 0;
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = value_of(c);
    if (value < 0 || padding > 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++digits % 4 != 1) bytes += static_cast<char>(bits >> (6 - 2 * ((digits - 1) % 4)) & 0xff);
  }
  if (digits % 4 == 1 || (digits + padding) % 4 != 0 || padding > 2) return std::nullopt;
  return bytes;
}

std::optional<std::string> host_of(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (url.substr(0, scheme.size()) != scheme) continue;
    std::string_view rest = url.substr(scheme.size());
    rest = rest.substr(0, rest.find('/'));
    if (rest.find('@') != std::string_view::npos) return std::nullopt;
    if (!rest.empty() && rest[0] == '[') {
      const auto close = rest.find(']');
      if (close == std::string_view::npos || close == 1) return std::nullopt;
      return std::string(rest.substr(1, close - 1));
    }
    rest = rest.substr(0, rest.find(':'));
    return rest.empty() ? std::nullopt : std::optional<std::string>(rest);
  }
  return std::nullopt;
}

namespace {

Result<ClusterConfig> read_kubeconfig_file(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    return fail(text.error().code, text.error().message + ", expected a readable kubeconfig");
  }
  return read_kubeconfig(*text, path);
}

// $KUBECONFIG is a list as $PATH is one. kubectl merges its files; the first that is there is what a
// daemon needs.
Result<ClusterConfig> first_of_list(const std::string& list) {
  std::stringstream parts(list);
  for (std::string path; std::getline(parts, path, ':');) {
    if (!path.empty() && exists(path)) return read_kubeconfig_file(path);
  }
  return fail(
      ErrorCode::not_found,
      "KUBECONFIG is \"" + list + "\" and no such file exists, expected one that does, or no KUBECONFIG");
}

Result<ClusterConfig> in_cluster(const ConfigSources& sources) {
  ClusterConfig config;
  config.origin = "the service account of this pod";
  const std::string& host = *sources.service_host;
  const bool bare_v6 = host.find(':') != std::string::npos && host[0] != '[';
  config.server = "https://" + (bare_v6 ? "[" + host + "]" : host) + ":" + *sources.service_port;
  config.authority = {sources.service_account_folder + "/ca.crt", "", "ca.crt"};
  config.token = {sources.service_account_folder + "/token", "", "token"};
  for (const Secret* secret : {&config.authority, &config.token}) {
    if (const auto read = read_file(secret->file); !read) {
      return fail(read.error().code, read.error().message +
                                         ", expected what Kubernetes mounts there in a pod "
                                         "(automountServiceAccountToken), or a --kubeconfig");
    }
  }
  return config;
}

}  // namespace

Result<ClusterConfig> find_cluster_config(const ConfigSources& sources) {
  if (!sources.flag.empty()) return read_kubeconfig_file(sources.flag);
  if (sources.kubeconfig) return first_of_list(*sources.kubeconfig);
  if (sources.service_host && sources.service_port) return in_cluster(sources);
  const std::string at_home = sources.home.value_or("") + "/.kube/config";
  if (sources.home && exists(at_home)) return read_kubeconfig_file(at_home);
  return fail(
      ErrorCode::not_found,
      "no API server is configured: found no --kubeconfig, no KUBECONFIG, no pod (KUBERNETES_SERVICE_HOST "
      "and KUBERNETES_SERVICE_PORT) and no " +
          (sources.home ? at_home : "HOME") + ", expected one of them");
}

}  // namespace postern::agent::kube
