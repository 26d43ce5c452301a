// SPDX-License-Identifier: Apache-2.0
// Answers of the services, in full or wanting, and that no message carries a secret.
#include "agent/aws/aws_answers.h"

#include <gtest/gtest.h>

namespace postern::agent::aws {
namespace {

// "KEY SECRET TOKEN EXPIRATION", or "!" and the error's message.
std::string shown(const Result<AwsCredentials>& read) {
  if (!read) return "!" + read.error().message;
  return read->access_key_id + " " + read->secret_access_key + " " + read->session_token + " " +
         std::to_string(read->expires_unix_s.value_or(-1));
}

std::string sts(const std::string& inside) {
  return "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
         "<AssumeRoleWithWebIdentityResult>" +
         inside + "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
}

TEST(AwsAnswers, of_sts) {
  const std::string whole =
      "<Audience>sts.amazonaws.com</Audience><Credentials><SessionToken>T</"
      "SessionToken><SecretAccessKey>SECRET"
      "</SecretAccessKey><Expiration>2015-08-30T12:36:00Z</Expiration><AccessKeyId>A</AccessKeyId></"
      "Credentials>";
  const struct {
    const char* name;
    int status;
    std::string body;
    const char* shown;
  } rows[] = {
      {"whole", 200, sts(whole), "A SECRET T 1440938160"},
      {"without an expiration", 200,
       sts("<Credentials><SessionToken>T</SessionToken><SecretAccessKey>SECRET</SecretAccessKey>"
           "<AccessKeyId>A</AccessKeyId></Credentials>"),
       "!found the expiration \"\", expected a moment in UTC"},
      {"without a token", 200,
       sts("<Credentials><SecretAccessKey>SECRET</SecretAccessKey><AccessKeyId>A</AccessKeyId></"
           "Credentials>"),
       "!found an answer without a key, its secret or a token, expected all"},
      {"a token of two lines", 200,
       sts("<Credentials><SessionToken>T\nX: y</SessionToken><SecretAccessKey>SECRET</SecretAccessKey>"
           "<AccessKeyId>A</AccessKeyId><Expiration>2015-08-30T12:36:00Z</Expiration></Credentials>"),
       "!found a key or token with blanks or control characters inside"},
      {"another answer", 200, "<GetCallerIdentityResponse/>",
       "!found <GetCallerIdentityResponse> without credentials, expected "
       "AssumeRoleWithWebIdentityResult/Credentials"},
      {"a refusal", 400,
       "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>Token\nis "
       "old</Message></Error></ErrorResponse>",
       "!HTTP 400 ExpiredToken: Token is old"},
      {"no XML", 502, "Bad Gateway", "!HTTP 502"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(shown(read_web_identity_answer(row.status, row.body)), row.shown);
  }
}

TEST(AwsAnswers, of_the_containers_agent_and_the_instance) {
  const struct {
    const char* name;
    int status;
    const char* body;
    const char* shown;
  } rows[] = {
      {"whole", 200,
       R"({"AccessKeyId":"A","SecretAccessKey":"SECRET","Token":"T","Expiration":"2015-08-30T12:36:00Z"})",
       "A SECRET T 1440938160"},
      {"with its code", 200,
       R"({"Code":"Success","AccessKeyId":"A","SecretAccessKey":"SECRET","Token":"T",
           "Expiration":"2015-08-30T12:36:00Z","LastUpdated":"x"})",
       "A SECRET T 1440938160"},
      {"a role that may not be assumed", 200,
       R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot"})",
       "!AssumeRoleUnauthorizedAccess: EC2 cannot"},
      {"a refusal", 401, R"({"message":"no token"})", "!HTTP 401: no token"},
      {"a refusal without words", 500, "<html>", "!HTTP 500"},
      {"no JSON", 200, "hello", "!found no JSON object, expected credentials"},
      {"numbers", 200, R"({"AccessKeyId":1,"SecretAccessKey":2,"Token":3})",
       "!found an answer without a key, its secret or a token, expected all"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(shown(read_json_credentials(row.status, row.body)), row.shown);
  }
}

TEST(AwsAnswers, of_describe_tags) {
  const auto one = [](int status, const char* body) -> std::string {
    const auto read = read_tag_answer(status, body);
    if (!read) return (read.error().code == ErrorCode::io ? "again: " : "!") + read.error().message;
    return read->value_or("no tag");
  };
  EXPECT_EQ(one(200,
                "<DescribeTagsResponse><tagSet><item><key>k</key><value>c-1</value></item></tagSet>"
                "</DescribeTagsResponse>"),
            "c-1");
  EXPECT_EQ(one(200, "<DescribeTagsResponse><tagSet/></DescribeTagsResponse>"), "no tag");
  EXPECT_EQ(one(200, "<Other/>"), "!found <Other>, expected one with a tagSet");
  EXPECT_EQ(one(403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error>"
                "</Errors></Response>"),
            "!HTTP 403 UnauthorizedOperation: no");
  EXPECT_EQ(
      one(503, "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
      "again: HTTP 503 RequestLimitExceeded");
  EXPECT_EQ(one(502, "gone"), "again: HTTP 502");
}

TEST(AwsAnswers, errors_of_json_services_are_named) {
  const auto one = [](const char* body) {
    const auto error = read_service_error(body);
    return error.type + "|" + error.message;
  };
  EXPECT_EQ(one(R"({"__type":"com.amazonaws.logs#ThrottlingException","message":"slow"})"),
            "ThrottlingException|slow");
  EXPECT_EQ(one(R"({"__type":"AccessDeniedException","Message":"no"})"), "AccessDeniedException|no");
  EXPECT_EQ(one(R"({"__type":"X#Y:http://z","message":"a\nb"})"), "Y|a b");
  EXPECT_EQ(one(R"({"__type":7})"), "|");
  EXPECT_EQ(one("[]"), "|");
  EXPECT_EQ(one("<html>"), "|");
}

TEST(AwsAnswers, forms_are_encoded) {
  EXPECT_EQ(form_encoded("a-._~Z9 /+&=\xc3\xa4"), "a-._~Z9%20%2F%2B%26%3D%C3%A4");
  EXPECT_EQ(
      web_identity_form("arn:x/y", "", "t.k"),
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Ax%2Fy&RoleSessionName=postern-agent"
      "&WebIdentityToken=t.k");
  EXPECT_EQ(tag_form("i-1", "aws:eks:cluster-name"),
            "Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1=i-1&Filter.2."
            "Name=key"
            "&Filter.2.Value.1=aws%3Aeks%3Acluster-name");
}

}  // namespace
}  // namespace postern::agent::aws
