// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/instance_metadata.h"

#include <utility>

namespace postern::agent::aws {

tl::unexpected<Error> InstanceMetadata::wrong(ErrorCode code, const std::string& what) const {
  return fail(code, "instance metadata at " + endpoint_ + ": " + what);
}

kube::HttpRequest InstanceMetadata::request(const std::string& path) const {
  kube::HttpRequest made;
  made.url = endpoint_ + path;
  made.connect_timeout = kConnectTimeout;
  made.total_timeout = kTotalTimeout;
  return made;
}

void InstanceMetadata::get(const std::string& path, const Done& done) {
  if (disabled_) return done(wrong(ErrorCode::unsupported, "switched off by AWS_EC2_METADATA_DISABLED"));
  if (token_.empty()) return ask_token(path, done);
  ask(path, false, done);
}

void InstanceMetadata::ask_token(const std::string& path, const Done& done) {
  kube::HttpRequest made = request("/latest/api/token");
  made.method = "PUT";
  made.headers = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"};
  fetcher_.fetch(made, [this, path, done](const Result<kube::HttpReply>& reply) {
    if (!reply) return done(wrong(ErrorCode::io, reply.error().message));
    const bool plain = reply->body.find_first_of(" \r\n") == std::string::npos;
    if (reply->status != 200 || reply->body.empty() || !plain) {
      return done(wrong(ErrorCode::io, "found HTTP " + std::to_string(reply->status) +
                                           " to a request for a token, expected one of version 2"));
    }
    token_ = reply->body;
    ask(path, true, done);
  });
}

void InstanceMetadata::ask(const std::string& path, bool token_is_new, const Done& done) {
  kube::HttpRequest made = request(path);
  made.headers = {"X-aws-ec2-metadata-token: " + token_};
  fetcher_.fetch(made, [this, path, token_is_new, done](const Result<kube::HttpReply>& reply) {
    if (!reply) return done(wrong(ErrorCode::io, reply.error().message));
    if (reply->status == 401 && !token_is_new) return ask_token(path, done);
    if (reply->status == 200) return done(reply->body);
    done(wrong(reply->status == 404 ? ErrorCode::not_found : ErrorCode::io,
               "found HTTP " + std::to_string(reply->status) + " for " + path));
  });
}

}  // namespace postern::agent::aws
