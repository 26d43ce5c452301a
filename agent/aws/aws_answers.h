// SPDX-License-Identifier: Apache-2.0
// Answers of Amazon's services, and the bodies of the two questions that are asked by form: pure functions
// of text. A message never carries a secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/aws/aws_credentials.h"
#include "agent/aws/aws_environment.h"
#include "engine/base/result.h"

namespace postern::agent::aws {

// Sts: AssumeRoleWithWebIdentity, which nobody signs. `session` empty: a name of ours.
std::string web_identity_form(const std::string& role_arn, const std::string& session,
                              const std::string& token);
Result<AwsCredentials> read_web_identity_answer(int status, std::string_view body);

// Of the container's agent and of the instance's metadata: the same JSON but for the member Code.
Result<AwsCredentials> read_json_credentials(int status, std::string_view body);

// Ec2: DescribeTags of one instance and one key.
std::string tag_form(const std::string& instance, const std::string& key);
// The tag's value; nothing where the instance has none. Errors: permission when it was refused, io when
// asking again may help, invalid_input.
Result<std::optional<std::string>> read_tag_answer(int status, std::string_view body);

// What a service of JSON 1.1 says in place of an answer.
struct ServiceError {
  std::string type;  // "ThrottlingException", after the last "#"; empty: it says none
  std::string message;
};
ServiceError read_service_error(std::string_view body);

// Every byte but unreserved characters encoded: for a form.
std::string form_encoded(std::string_view text);

}  // namespace postern::agent::aws
