// SPDX-License-Identifier: Apache-2.0
// What the environment says to clients of Amazon's services: region, endpoints, where credentials come from.
// Names and precedence are those of the AWS SDKs. Pure: the variables come in as a function.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace postern::agent::aws {

using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// The first of these that is configured is the one; when it fails, no other is tried in its place, since
// that one would act as somebody else.
enum class CredentialSource { variables, web_identity, container, instance };
const char* to_string(CredentialSource source);

struct AwsEnvironment {
  std::string region;  // AWS_REGION, else AWS_DEFAULT_REGION; empty: the instance knows

  // AWS_ENDPOINT_URL_CLOUDWATCH_LOGS, _EC2, _STS, else AWS_ENDPOINT_URL; empty: the region's own.
  std::string logs_endpoint;
  std::string ec2_endpoint;
  std::string sts_endpoint;
  std::string ca_bundle;  // AWS_CA_BUNDLE, a file of PEM; empty: the system's CAs

  // AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE, AWS_EC2_METADATA_DISABLED.
  std::string metadata_endpoint;
  bool metadata_disabled = false;

  std::string access_key_id;  // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
  std::string secret_access_key;
  std::string session_token;
  std::string role_arn;  // AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_SESSION_NAME
  std::string web_identity_token_file;
  std::string role_session_name;
  std::string container_url;  // AWS_CONTAINER_CREDENTIALS_FULL_URI, or _RELATIVE_URI with ECS's address
  std::string container_token_file;  // AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, else _TOKEN's text
  std::string container_token;

  [[nodiscard]] CredentialSource source() const;
};

AwsEnvironment read_aws_environment(const Variables& variables);

// `overriding`, or "https://logs.eu-west-1.amazonaws.com" with the suffix of the region's partition.
std::string endpoint_of(const std::string& overriding, const std::string& service, const std::string& region);

// A URL in its parts, the host in small letters as it is signed.
struct Url {
  std::string scheme;
  std::string host;  // with its port, unless that is the scheme's own; an IPv6 one in brackets
  std::string path;  // with its query; "/" at least
  [[nodiscard]] std::string to_string() const { return scheme + "://" + host + path; }
};
// Errors: invalid_input for what is neither http:// nor https:// with a host.
Result<Url> parse_url(std::string_view text);

// Whether a container's credentials may be fetched there: https, or an address of this machine or of the
// agents of ECS and EKS. A token goes to no other in the clear.
bool is_container_host(const Url& url);

}  // namespace postern::agent::aws
