// SPDX-License-Identifier: Apache-2.0
// Signed requests to Amazon's services, one answer for each. It knows region, endpoints and credentials,
// and nothing of what is asked.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/aws/aws_environment.h"
#include "agent/aws/credential_provider.h"
#include "agent/aws/instance_metadata.h"
#include "agent/kube/http_fetcher.h"
#include "agent/loop/event_loop.h"
#include "engine/base/result.h"

namespace postern::agent::aws {

struct AwsCall {
  std::string service;   // as it is signed: "logs"
  std::string endpoint;  // overriding the region's; empty: that one
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;              // POSTed to "/"
  bool new_credentials = false;  // those of the call before have been refused
};

// One of three: an answer of any status, no answer, or nothing to sign with.
struct AwsOutcome {
  Result<kube::HttpReply> reply;
  bool without_credentials = false;
};

class AwsClient {
 public:
  using Done = std::function<void(const AwsOutcome&)>;
  static constexpr Duration kTimeout = seconds(30);

  // The loop outlives it. Errors: internal, or a CA bundle that cannot be read.
  static Result<std::unique_ptr<AwsClient>> make(EventLoop& loop, AwsEnvironment environment);

  [[nodiscard]] const AwsEnvironment& environment() const { return environment_; }
  [[nodiscard]] InstanceMetadata& metadata() { return metadata_; }
  [[nodiscard]] const std::string& region() const { return region_; }
  void set_region(const std::string& region);

  // Needs a region. `done` is called once, maybe at once, unless the client goes first.
  void call(AwsCall call, Done done);

 private:
  AwsClient(std::unique_ptr<kube::HttpClient> http, AwsEnvironment environment);
  void send(const AwsCall& call, const AwsCredentials& credentials, const Done& done);

  AwsEnvironment environment_;
  std::string region_;
  std::shared_ptr<const kube::TlsMaterial> tls_;
  std::unique_ptr<kube::HttpClient> http_;
  kube::HttpFetcher fetcher_;
  InstanceMetadata metadata_;
  CredentialProvider credentials_;
};

}  // namespace postern::agent::aws
