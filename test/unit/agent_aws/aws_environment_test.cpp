// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/aws_environment.h"

#include <gtest/gtest.h>

#include <map>

namespace postern::agent::aws {
namespace {

AwsEnvironment read(std::map<std::string, std::string> variables) {
  return read_aws_environment([&variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

TEST(AwsEnvironment, the_special_name_wins_over_the_general_and_empty_is_not_set) {
  EXPECT_EQ(read({{"AWS_REGION", "a"}, {"AWS_DEFAULT_REGION", "b"}}).region, "a");
  EXPECT_EQ(read({{"AWS_REGION", ""}, {"AWS_DEFAULT_REGION", "b"}}).region, "b");
  EXPECT_EQ(read({}).region, "");
  const auto both =
      read({{"AWS_ENDPOINT_URL", "http://all/"}, {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs"}});
  EXPECT_EQ(both.logs_endpoint, "http://logs");
  EXPECT_EQ(both.ec2_endpoint, "http://all");
  EXPECT_EQ(both.sts_endpoint, "http://all");
  EXPECT_EQ(read({{"AWS_ENDPOINT_URL_EC2", "http://e"}, {"AWS_ENDPOINT_URL_STS", "http://s"}}).ec2_endpoint,
            "http://e");
  EXPECT_EQ(read({{"AWS_ENDPOINT_URL_STS", "http://s"}}).sts_endpoint, "http://s");
  EXPECT_EQ(read({{"AWS_ENDPOINT_URL_STS", "http://s"}}).logs_endpoint, "");
  EXPECT_EQ(read({}).metadata_endpoint, "http://169.254.169.254");
  EXPECT_EQ(read({{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"}}).metadata_endpoint,
            "http://[fd00:ec2::254]");
  EXPECT_EQ(read({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://m/"}}).metadata_endpoint, "http://m");
  EXPECT_TRUE(read({{"AWS_EC2_METADATA_DISABLED", "TRUE"}}).metadata_disabled);
  EXPECT_FALSE(read({{"AWS_EC2_METADATA_DISABLED", "no"}}).metadata_disabled);
}

TEST(AwsEnvironment, the_source_of_credentials_is_the_first_that_is_whole) {
  using Map = std::map<std::string, std::string>;
  const Map key = {{"AWS_ACCESS_KEY_ID", "a"}, {"AWS_SECRET_ACCESS_KEY", "s"}};
  const Map web = {{"AWS_ROLE_ARN", "r"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"}};
  const Map pod = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"}};
  const auto joined = [](std::initializer_list<Map> maps) {
    Map all;
    for (const auto& map : maps) all.insert(map.begin(), map.end());
    return all;
  };
  const struct {
    const char* name;
    Map variables;
    CredentialSource source;
  } rows[] = {
      {"all", joined({key, web, pod}), CredentialSource::variables},
      {"web and pod", joined({web, pod}), CredentialSource::web_identity},
      {"pod", pod, CredentialSource::container},
      {"nothing", {}, CredentialSource::instance},
      {"a key without its secret", {{"AWS_ACCESS_KEY_ID", "a"}}, CredentialSource::instance},
      {"a role without a token", {{"AWS_ROLE_ARN", "r"}}, CredentialSource::instance},
  };
  for (const auto& row : rows) EXPECT_EQ(read(row.variables).source(), row.source) << row.name;
  EXPECT_EQ(read({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}}).container_url,
            "http://169.254.170.2/v2/x");
}

TEST(AwsEnvironment, endpoints_are_the_regions_own_unless_overridden) {
  EXPECT_EQ(endpoint_of("", "logs", "eu-west-1"), "https://logs.eu-west-1.amazonaws.com");
  EXPECT_EQ(endpoint_of("", "logs", "us-gov-west-1"), "https://logs.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(endpoint_of("", "ec2", "cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(endpoint_of("http://x:1", "logs", "cn-north-1"), "http://x:1");
}

TEST(AwsUrl, is_told_apart_or_refused) {
  const struct {
    const char* text;
    const char* scheme;
    const char* host;
    const char* path;
  } rows[] = {
      {"https://Logs.Example", "https", "logs.example", "/"},
      {"HTTP://h:80/a/b", "http", "h", "/a/b"},
      {"https://h:443", "https", "h", "/"},
      {"http://h:443/", "http", "h:443", "/"},
      {"http://[::1]:8080/x?y=z#f", "http", "[::1]:8080", "/x?y=z"},
      {"http://h?y", "http", "h", "/?y"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto url = parse_url(row.text);
    ASSERT_TRUE(url) << url.error().message;
    EXPECT_EQ(url->scheme, row.scheme);
    EXPECT_EQ(url->host, row.host);
    EXPECT_EQ(url->path, row.path);
  }
  for (const char* text :
       {"", "h", "ftp://h", "http://", "http:///x", "http://:80", "http://u@h", "http://a b"})
    EXPECT_FALSE(parse_url(text)) << text;
}

TEST(AwsUrl, a_containers_token_goes_to_this_machine_or_by_https) {
  const struct {
    const char* url;
    bool allowed;
  } rows[] = {
      {"http://169.254.170.23/v1/credentials", true},
      {"http://[fd00:ec2::23]/v1/credentials", true},
      {"http://169.254.170.2/v2", true},
      {"http://localhost:1338/x", true},
      {"http://127.0.0.1:80/x", true},
      {"http://127.1.2.3/x", true},
      {"http://[::1]:99/x", true},
      {"https://anywhere.example/x", true},
      {"http://anywhere.example/x", false},
      {"http://127.0.0.1.example.com/x", false},
      {"http://169.254.169.254/x", false},
      {"http://10.0.0.1/x", false},
  };
  for (const auto& row : rows) EXPECT_EQ(is_container_host(*parse_url(row.url)), row.allowed) << row.url;
}

}  // namespace
}  // namespace postern::agent::aws
