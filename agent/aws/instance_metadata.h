// SPDX-License-Identifier: Apache-2.0
// What an EC2 instance knows of itself: version 2 of its metadata, where a token is asked for first. Off
// EC2 nobody answers, which is found out within seconds.
#pragma once

#include <functional>
#include <string>

#include "agent/aws/aws_environment.h"
#include "agent/kube/http_fetcher.h"
#include "engine/base/result.h"

namespace postern::agent::aws {

class InstanceMetadata {
 public:
  using Done = std::function<void(const Result<std::string>&)>;
  static constexpr Duration kConnectTimeout = seconds(1);
  static constexpr Duration kTotalTimeout = seconds(3);

  // The fetcher outlives it, unless it hears of nothing more.
  InstanceMetadata(kube::HttpFetcher& fetcher, const AwsEnvironment& environment)
      : fetcher_(fetcher),
        endpoint_(environment.metadata_endpoint),
        disabled_(environment.metadata_disabled) {}

  // "/latest/meta-data/placement/region". `done` is called once, maybe at once. Errors: not_found for 404,
  // unsupported when the environment forbids it, else io.
  void get(const std::string& path, const Done& done);

 private:
  void ask_token(const std::string& path, const Done& done);
  void ask(const std::string& path, bool token_is_new, const Done& done);
  [[nodiscard]] kube::HttpRequest request(const std::string& path) const;
  [[nodiscard]] tl::unexpected<Error> wrong(ErrorCode code, const std::string& what) const;

  kube::HttpFetcher& fetcher_;
  std::string endpoint_;
  bool disabled_;
  std::string token_;  // refused once it is too old, and asked for again
};

}  // namespace postern::agent::aws
