// SPDX-License-Identifier: Apache-2.0
// Which API server to ask, how to know it, and as whom to ask: from --kubeconfig, else the first file of
// $KUBECONFIG that exists, else the service account of the pod that this runs in, else ~/.kube/config.
//
// The first source that is there is taken; what is wrong with it is an error and never a reason to try
// the next, so that nobody talks to another cluster than the one he named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace postern::agent::kube {

// Certificates, keys and tokens are in files, which may change while this runs, or written out.
struct Secret {
  std::string file;  // empty: `data` is it
  std::string data;
  std::string field;  // where it is configured, for messages: "certificate-authority"
  [[nodiscard]] bool given() const { return !file.empty() || !data.empty(); }
};

struct ClusterConfig {
  std::string origin;           // "context kind of /root/.kube/config", "the service account of this pod"
  std::string server;           // "https://10.96.0.1:443", "https://[fd00::1]:443"; without a / at its end
  std::string tls_server_name;  // that the certificate has; empty: the host of `server`
  Secret authority;             // not given: the system's CAs
  Secret client_certificate;
  Secret client_key;
  Secret token;
  std::string proxy_url;  // empty: none, whatever the environment says
};

// Everything outside that the choice depends on.
struct ConfigSources {
  std::string flag;                         // of --kubeconfig, empty: not given
  std::optional<std::string> kubeconfig;    // $KUBECONFIG
  std::optional<std::string> service_host;  // $KUBERNETES_SERVICE_HOST
  std::optional<std::string> service_port;  // $KUBERNETES_SERVICE_PORT
  std::optional<std::string> home;          // $HOME
  std::string service_account_folder = "/var/run/secrets/kubernetes.io/serviceaccount";

  static ConfigSources of_environment(std::string flag);
};

// Errors: not_found when no source is there, naming all; io for what cannot be read; invalid_input and
// unsupported for what is written, with its place.
Result<ClusterConfig> find_cluster_config(const ConfigSources& sources);

// A kubeconfig's text. `file` is its path, which relative paths in it start from. Errors: invalid_input
// and unsupported.
Result<ClusterConfig> read_kubeconfig(std::string_view text, const std::string& file);

// Errors: io, not_found, permission: "FILE: why".
Result<std::string> read_file(const std::string& path);
// Standard alphabet with padding; spaces and line ends are skipped. None if it is not that.
std::optional<std::string> decode_base64(std::string_view text);
// The host of an http(s) URL without brackets, none if it is no such URL.
std::optional<std::string> host_of(std::string_view url);

}  // namespace postern::agent::kube
