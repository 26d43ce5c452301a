// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/credential_provider.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "agent/aws/aws_answers.h"
#include "agent/kube/cluster_config.h"

namespace postern::agent::aws {
namespace {

// A token on one line: it becomes a header, or a part of a form.
Result<std::string> token_of(const std::string& file) {
  auto text = kube::read_file(file);
  if (!text) return text;
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->pop_back();
  const bool plain = std::all_of(text->begin(), text->end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text->empty() || !plain)
    return fail(ErrorCode::invalid_input, file + ": found no token on one line, expected one");
  return text;
}

}  // namespace

void CredentialProvider::get(bool anew, std::int64_t now_unix_s, Done done) {
  refused_ = refused_ || anew;
  const bool good = !at_hand_.access_key_id.empty() && !refused_ && now_unix_s < renew_at_s_;
  if (good) return done(at_hand_);
  waiting_.push_back(std::move(done));
  if (waiting_.size() == 1) fetch(now_unix_s);
}

void CredentialProvider::fetch(std::int64_t now_unix_s) {
  switch (environment_.source()) {
    case CredentialSource::variables:
      return arrived(AwsCredentials{environment_.access_key_id, environment_.secret_access_key,
                                    environment_.session_token, std::nullopt},
                     now_unix_s);
    case CredentialSource::web_identity: return ask_sts(now_unix_s);
    case CredentialSource::container: return ask_container(now_unix_s);
    case CredentialSource::instance: return ask_instance(now_unix_s);
  }
}

void CredentialProvider::ask_sts(std::int64_t now_unix_s) {
  const auto token = token_of(environment_.web_identity_token_file);
  if (!token) return failed(token.error(), now_unix_s);
  const std::string& region = region_.empty() ? environment_.region : region_;
  kube::HttpRequest request;
  request.method = "POST";
  request.url = region.empty() && environment_.sts_endpoint.empty()
                    ? "https://sts.amazonaws.com/"
                    : endpoint_of(environment_.sts_endpoint, "sts", region) + "/";
  request.headers = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8", "Expect:"};
  request.body = web_identity_form(environment_.role_arn, environment_.role_session_name, *token);
  request.tls = tls_;
  request.environment_proxy = true;
  request.total_timeout = seconds(20);
  fetcher_.fetch(request, [this, now_unix_s, url = request.url](const Result<kube::HttpReply>& reply) {
    if (!reply) return failed({ErrorCode::io, url + ": " + reply.error().message}, now_unix_s);
    auto read = read_web_identity_answer(reply->status, reply->body);
    if (!read) return failed({read.error().code, url + ": " + read.error().message}, now_unix_s);
    arrived(std::move(*read), now_unix_s);
  });
}

void CredentialProvider::ask_container(std::int64_t now_unix_s) {
  const auto url = parse_url(environment_.container_url);
  if (!url) return failed(url.error(), now_unix_s);
  if (!is_container_host(*url)) {
    return failed({ErrorCode::invalid_input,
                   "found " + environment_.container_url + ", expected https, or an address of this machine"},
                  now_unix_s);
  }
  std::string token = environment_.container_token;
  if (!environment_.container_token_file.empty()) {
    auto read = token_of(environment_.container_token_file);
    if (!read) return failed(read.error(), now_unix_s);
    token = std::move(*read);
  }
  kube::HttpRequest request;
  request.url = url->to_string();
  if (!token.empty()) request.headers = {"Authorization: " + token};
  request.tls = tls_;
  request.connect_timeout = seconds(2);
  request.total_timeout = seconds(10);
  fetcher_.fetch(request, [this, now_unix_s](const Result<kube::HttpReply>& reply) {
    const std::string& place = environment_.container_url;
    if (!reply) return failed({ErrorCode::io, place + ": " + reply.error().message}, now_unix_s);
    auto read = read_json_credentials(reply->status, reply->body);
    if (!read) return failed({read.error().code, place + ": " + read.error().message}, now_unix_s);
    arrived(std::move(*read), now_unix_s);
  });
}

void CredentialProvider::ask_instance(std::int64_t now_unix_s) {
  metadata_.get(
      "/latest/meta-data/iam/security-credentials/", [this, now_unix_s](const Result<std::string>& list) {
        if (!list) {
          if (list.error().code != ErrorCode::not_found) return failed(list.error(), now_unix_s);
          return failed({ErrorCode::not_found, list.error().message + ", expected an instance with a role"},
                        now_unix_s);
        }
        ask_instance_role(list->substr(0, list->find_first_of("\r\n")), now_unix_s);
      });
}

void CredentialProvider::ask_instance_role(const std::string& role, std::int64_t now_unix_s) {
  metadata_.get("/latest/meta-data/iam/security-credentials/" + form_encoded(role),
                [this, now_unix_s](const Result<std::string>& answer) {
                  if (!answer) return failed(answer.error(), now_unix_s);
                  auto read = read_json_credentials(200, *answer);
                  if (!read) return failed(read.error(), now_unix_s);
                  arrived(std::move(*read), now_unix_s);
                });
}

void CredentialProvider::arrived(Result<AwsCredentials> credentials, std::int64_t now_unix_s) {
  if (credentials) {
    at_hand_ = *credentials;
    refused_ = false;
    renew_at_s_ = std::numeric_limits<std::int64_t>::max();
    if (at_hand_.expires_unix_s) {
      const std::int64_t life = std::max<std::int64_t>(*at_hand_.expires_unix_s - now_unix_s, 0);
      renew_at_s_ = *at_hand_.expires_unix_s - std::min(kMargin_s, (life + 4) / 5);
    }
  }
  // Whoever asks again from within waits for the next answer.
  for (const Done& done : std::exchange(waiting_, {})) done(credentials);
}

void CredentialProvider::failed(const Error& error, std::int64_t now_unix_s) {
  const bool still_good = !at_hand_.access_key_id.empty() && !refused_ && at_hand_.expires_unix_s &&
                          now_unix_s < *at_hand_.expires_unix_s;
  if (still_good) {
    renew_at_s_ = std::min(now_unix_s + kRetry_s, *at_hand_.expires_unix_s);
    for (const Done& done : std::exchange(waiting_, {})) done(at_hand_);
    return;
  }
  arrived(fail(error.code,
               std::string("credentials of ") + to_string(environment_.source()) + ": " + error.message),
          now_unix_s);
}

}  // namespace postern::agent::aws
