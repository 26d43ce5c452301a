// SPDX-License-Identifier: Apache-2.0
// Credentials that are good now, from the one source that the environment names. Temporary ones are asked
// for again before they expire; while that fails those at hand serve until their end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agent/aws/aws_credentials.h"
#include "agent/aws/aws_environment.h"
#include "agent/aws/instance_metadata.h"
#include "agent/kube/http_fetcher.h"

namespace postern::agent::aws {

class CredentialProvider {
 public:
  using Done = std::function<void(const Result<AwsCredentials>&)>;
  static constexpr std::int64_t kMargin_s = 300;  // or a fifth of a short life
  static constexpr std::int64_t kRetry_s = 30;    // while those at hand are still good

  // Everything given outlives it, unless the fetcher goes first.
  CredentialProvider(kube::HttpFetcher& fetcher, InstanceMetadata& metadata,
                     const AwsEnvironment& environment)
      : fetcher_(fetcher), metadata_(metadata), environment_(environment) {}

  // For the address of STS; the environment's until then.
  void set_region(const std::string& region) { region_ = region; }
  void set_tls(std::shared_ptr<const kube::TlsMaterial> tls) { tls_ = std::move(tls); }

  // `anew`: those at hand have been refused. `done` is called once, maybe at once. Errors: where they were
  // to come from and what was found there.
  void get(bool anew, std::int64_t now_unix_s, Done done);

 private:
  void fetch(std::int64_t now_unix_s);
  void ask_sts(std::int64_t now_unix_s);
  void ask_container(std::int64_t now_unix_s);
  void ask_instance(std::int64_t now_unix_s);
  void ask_instance_role(const std::string& role, std::int64_t now_unix_s);
  void arrived(Result<AwsCredentials> credentials, std::int64_t now_unix_s);
  void failed(const Error& error, std::int64_t now_unix_s);

  kube::HttpFetcher& fetcher_;
  InstanceMetadata& metadata_;
  const AwsEnvironment& environment_;
  std::string region_;
  std::shared_ptr<const kube::TlsMaterial> tls_;
  AwsCredentials at_hand_;       // without a key: none yet
  std::int64_t renew_at_s_ = 0;  // of those at hand
  bool refused_ = false;         // those at hand were
  std::vector<Done> waiting_;
};

}  // namespace postern::agent::aws
