// SPDX-License-Identifier: Apache-2.0
// The certificates, keys and tokens of a ClusterConfig as they are now. Files are read again at most every
// minute, since tokens of service accounts and kubelets' certificates are renewed under their feet, and at
// once when an API server has refused what was read.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/kube/cluster_config.h"
#include "agent/kube/http_client.h"
#include "engine/base/time.h"

namespace postern::agent::kube {

class Credentials {
 public:
  static constexpr Duration kKeep = seconds(60);

  explicit Credentials(ClusterConfig config) : config_(std::move(config)) {}

  // Reads what is due, or all of it now. Errors: FILE or field, what was found and expected. What was read
  // before stays and is still good for a request, so without `all` a failure counts only the first time.
  Result<void> refresh(Instant now, bool all);

  [[nodiscard]] const std::string& token() const { return token_; }  // empty: none
  [[nodiscard]] const std::shared_ptr<const TlsMaterial>& tls() const { return tls_; }
  [[nodiscard]] const ClusterConfig& config() const { return config_; }

 private:
  Result<void> read();

  ClusterConfig config_;
  std::optional<Instant> read_at_;
  std::string token_;
  std::shared_ptr<const TlsMaterial> tls_;
};

}  // namespace postern::agent::kube
