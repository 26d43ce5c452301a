// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/aws_environment.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/aws/lower_case.h"

namespace postern::agent::aws {
namespace {

constexpr const char* kMetadata = "http://169.254.169.254";
constexpr const char* kMetadataIpv6 = "http://[fd00:ec2::254]";
constexpr const char* kElasticContainers = "http://169.254.170.2";

std::string without_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

// A partition's regions begin with this; its services are below that.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSuffixes = {{
    {"cn-", "amazonaws.com.cn"},
    {"us-iso-", "c2s.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov"},
}};

}  // namespace

const char* to_string(CredentialSource source) {
  switch (source) {
    case CredentialSource::variables: return "AWS_ACCESS_KEY_ID";
    case CredentialSource::web_identity: return "the web identity of the service account";
    case CredentialSource::container: return "EKS Pod Identity";
    case CredentialSource::instance: return "the role of the instance";
  }
  return "";
}

CredentialSource AwsEnvironment::source() const {
  if (!access_key_id.empty() && !secret_access_key.empty()) return CredentialSource::variables;
  if (!role_arn.empty() && !web_identity_token_file.empty()) return CredentialSource::web_identity;
  if (!container_url.empty()) return CredentialSource::container;
  return CredentialSource::instance;
}

AwsEnvironment read_aws_environment(const Variables& variables) {
  // Set but empty is not set, as the SDKs have it.
  const auto first = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (auto value = variables(name); value && !value->empty()) return *value;
    }
    return std::string();
  };
  AwsEnvironment read;
  read.region = first({"AWS_REGION", "AWS_DEFAULT_REGION"});
  read.logs_endpoint = without_slash(first({"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL"}));
  read.ec2_endpoint = without_slash(first({"AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"}));
  read.sts_endpoint = without_slash(first({"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}));
  read.ca_bundle = first({"AWS_CA_BUNDLE"});
  read.metadata_endpoint = without_slash(first({"AWS_EC2_METADATA_SERVICE_ENDPOINT"}));
  if (read.metadata_endpoint.empty()) {
    const bool ipv6 = lower(first({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"})) == "ipv6";
    read.metadata_endpoint = ipv6 ? kMetadataIpv6 : kMetadata;
  }
  read.metadata_disabled = lower(first({"AWS_EC2_METADATA_DISABLED"})) == "true";

  read.access_key_id = first({"AWS_ACCESS_KEY_ID"});
  read.secret_access_key = first({"AWS_SECRET_ACCESS_KEY"});
  read.session_token = first({"AWS_SESSION_TOKEN"});
  read.role_arn = first({"AWS_ROLE_ARN"});
  read.web_identity_token_file = first({"AWS_WEB_IDENTITY_TOKEN_FILE"});
  read.role_session_name = first({"AWS_ROLE_SESSION_NAME"});
  if (const auto relative = first({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"}); !relative.empty()) {
    read.container_url = kElasticContainers + relative;
  } else {
    read.container_url = first({"AWS_CONTAINER_CREDENTIALS_FULL_URI"});
  }
  read.container_token_file = first({"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"});
  read.container_token = first({"AWS_CONTAINER_AUTHORIZATION_TOKEN"});
  return read;
}

std::string endpoint_of(const std::string& overriding, const std::string& service,
                        const std::string& region) {
  if (!overriding.empty()) return overriding;
  std::string_view suffix = "amazonaws.com";
  for (const auto& [beginning, of_partition] : kSuffixes) {
    if (region.starts_with(beginning)) suffix = of_partition;
  }
  return "https://" + service + "." + region + "." + std::string(suffix);
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [text] {
    return fail(ErrorCode::invalid_input,
                "found \"" + std::string(text) + "\", expected http:// or https:// and a host");
  };
  Url url;
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return wrong();
  url.scheme = lower(std::string(text.substr(0, colon)));
  if (url.scheme != "http" && url.scheme != "https") return wrong();
  const std::string_view rest = text.substr(colon + 3);
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  url.host = lower(std::string(rest.substr(0, end)));
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!plain || url.host.empty() || url.host[0] == ':' || url.host.find('@') != std::string::npos)
    return wrong();
  const std::string own_port = url.scheme == "http" ? ":80" : ":443";
  if (url.host.ends_with(own_port)) url.host.resize(url.host.size() - own_port.size());
  url.path = std::string(rest.substr(end));
  url.path.resize(std::min(url.path.find('#'), url.path.size()));
  if (url.path.empty() || url.path[0] != '/') url.path.insert(url.path.begin(), '/');
  return url;
}

bool is_container_host(const Url& url) {
  if (url.scheme == "https") return true;
  std::string host = url.host;
  const auto port = host.rfind(':');
  if (port != std::string::npos && host.find(']', port) == std::string::npos) host.resize(port);
  constexpr std::array kAllowed = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
  if (std::find(kAllowed.begin(), kAllowed.end(), host) != kAllowed.end()) return true;
  // 127.0.0.0/8, and no name that begins so.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace postern::agent::aws
