// SPDX-License-Identifier: Apache-2.0
// Signatures of AWS's published test suite for version 4, and what is signed at all. Random requests are held
// to botocore by test/cloudwatch/signatures_are_those_of_botocore.
#include "agent/aws/signature.h"

#include <gtest/gtest.h>

namespace postern::agent::aws {
namespace {

const AwsCredentials kExample{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", std::nullopt};
const SigningScope kScope{"us-east-1", "service"};
constexpr std::int64_t kMoment = 1440938160;  // 20150830T123600Z

TEST(Signature, is_that_of_the_published_suite) {
  const struct {
    const char* name;
    const char* method;
    const char* query;
    const char* signature;
  } rows[] = {
      {"get-vanilla", "GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla", "POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-query-order-key-case", "GET", "Param2=value2&Param1=value1",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const RequestToSign request{row.method, "example.amazonaws.com", "/", row.query, {}, ""};
    const auto lines = sign(request, kExample, kScope, kMoment);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0], "X-Amz-Date: 20150830T123600Z");
    EXPECT_EQ(lines[1], std::string("Authorization: AWS4-HMAC-SHA256 "
                                    "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                                    "SignedHeaders=host;x-amz-date, Signature=") +
                            row.signature);
  }
}

TEST(Signature, changes_with_everything_that_is_signed) {
  const RequestToSign base{"POST", "logs.example", "/", "", {{"X-Amz-Target", "T"}}, "body"};
  const auto signature = [](const RequestToSign& request, const AwsCredentials& credentials,
                            const SigningScope& scope, std::int64_t moment) {
    const std::string line = sign(request, credentials, scope, moment).back();
    return line.substr(line.find("Signature="));
  };
  const std::string of_base = signature(base, kExample, kScope, kMoment);
  EXPECT_EQ(signature(base, kExample, kScope, kMoment), of_base);
  const auto with = [&base](auto change) {
    RequestToSign changed = base;
    change(changed);
    return changed;
  };
  const RequestToSign changed[] = {with([](auto& request) { request.method = "PUT"; }),
                                   with([](auto& request) { request.host = "x"; }),
                                   with([](auto& request) { request.path = "/a"; }),
                                   with([](auto& request) { request.query = "a=1"; }),
                                   with([](auto& request) { request.headers[0].second = "U"; }),
                                   with([](auto& request) { request.body = "bodY"; })};
  for (const auto& request : changed) EXPECT_NE(signature(request, kExample, kScope, kMoment), of_base);
  EXPECT_NE(signature(base, {"A", "other", "", std::nullopt}, kScope, kMoment), of_base);
  EXPECT_NE(signature(base, {"A", kExample.secret_access_key, "token", std::nullopt}, kScope, kMoment),
            of_base);
  EXPECT_NE(signature(base, kExample, {"us-east-2", "service"}, kMoment), of_base);
  EXPECT_NE(signature(base, kExample, {"us-east-1", "logs"}, kMoment), of_base);
  EXPECT_NE(signature(base, kExample, kScope, kMoment + 1), of_base);
}

TEST(Signature, a_token_goes_with_temporary_credentials_and_is_signed) {
  const auto lines = sign({"POST", "h", "/", "", {}, ""}, {"A", "s", "the token", std::nullopt}, kScope, 0);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], "X-Amz-Security-Token: the token");
  EXPECT_NE(lines[2].find("SignedHeaders=host;x-amz-date;x-amz-security-token,"), std::string::npos);
}

}  // namespace
}  // namespace postern::agent::aws
