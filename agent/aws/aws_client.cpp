// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/aws_client.h"

#include <ctime>

#include "agent/aws/signature.h"
#include "agent/kube/cluster_config.h"

namespace postern::agent::aws {
namespace {

std::int64_t unix_seconds() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec;
}

}  // namespace

AwsClient::AwsClient(std::unique_ptr<kube::HttpClient> http, AwsEnvironment environment)
    : environment_(std::move(environment)),
      region_(environment_.region),
      http_(std::move(http)),
      fetcher_(*http_),
      metadata_(fetcher_, environment_),
      credentials_(fetcher_, metadata_, environment_) {}

Result<std::unique_ptr<AwsClient>> AwsClient::make(EventLoop& loop, AwsEnvironment environment) {
  kube::TlsMaterial tls;
  if (!environment.ca_bundle.empty()) {
    auto pem = kube::read_file(environment.ca_bundle);
    if (!pem) return fail(pem.error().code, "AWS_CA_BUNDLE: " + pem.error().message);
    tls.authority = std::move(*pem);
  }
  auto http = kube::HttpClient::make(loop);
  if (!http) return fail_as(http);
  std::unique_ptr<AwsClient> client(new AwsClient(std::move(*http), std::move(environment)));
  client->tls_ = std::make_shared<const kube::TlsMaterial>(std::move(tls));
  client->credentials_.set_tls(client->tls_);
  return client;
}

void AwsClient::set_region(const std::string& region) {
  region_ = region;
  credentials_.set_region(region);
}

void AwsClient::call(AwsCall call, Done done) {
  const bool anew = call.new_credentials;
  credentials_.get(
      anew, unix_seconds(),
      [this, call = std::move(call), done = std::move(done)](const Result<AwsCredentials>& found) {
        if (!found) return done({fail_as(found), true});
        send(call, *found, done);
      });
}

void AwsClient::send(const AwsCall& call, const AwsCredentials& credentials, const Done& done) {
  const std::string endpoint = endpoint_of(call.endpoint, call.service, region_);
  const auto url = parse_url(endpoint);
  if (!url) return done({fail(url.error().code, call.service + " endpoint: " + url.error().message), false});
  RequestToSign to_sign;
  to_sign.method = "POST";
  to_sign.host = url->host;
  to_sign.path = url->path;
  to_sign.headers = call.headers;
  to_sign.body = call.body;

  kube::HttpRequest request;
  request.method = "POST";
  request.url = url->to_string();
  request.headers = sign(to_sign, credentials, {region_, call.service}, unix_seconds());
  for (const auto& [name, value] : call.headers) request.headers.push_back(name + ": " + value);
  // A body of more than 1 MB would be announced, and a second lost where nobody answers to that.
  request.headers.emplace_back("Expect:");
  request.headers.emplace_back("User-Agent: postern-agent");
  request.body = call.body;
  request.tls = tls_;
  request.environment_proxy = true;
  request.total_timeout = kTimeout;
  fetcher_.fetch(request,
                 [done, place = url->scheme + "://" + url->host](const Result<kube::HttpReply>& reply) {
                   if (reply) return done({reply, false});
                   done({fail(reply.error().code, place + ": " + reply.error().message), false});
                 });
}

}  // namespace postern::agent::aws
