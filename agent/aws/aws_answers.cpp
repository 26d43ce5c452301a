// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/aws_answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/aws/aws_time.h"
#include "agent/aws/xml.h"

namespace postern::agent::aws {
namespace {

constexpr std::size_t kMostMessage = 300;

// One line of what somebody else wrote, for a message.
std::string shown(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  if (text.size() > kMostMessage) text = text.substr(0, kMostMessage) + "...";
  return text;
}

std::string status_text(int status) { return "HTTP " + std::to_string(status); }

nlohmann::json parse_json(std::string_view body) {
  return nlohmann::json::parse(body.begin(), body.end(), nullptr, false);
}

std::string text_member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// They become header lines.
bool plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Result<AwsCredentials> checked(AwsCredentials credentials, const std::string& expiration) {
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty() ||
      credentials.session_token.empty()) {
    return fail(ErrorCode::invalid_input,
                "found an answer without a key, its secret or a token, expected all");
  }
  if (!plain(credentials.access_key_id) || !plain(credentials.session_token))
    return fail(ErrorCode::invalid_input, "found a key or token with blanks or control characters inside");
  credentials.expires_unix_s = parse_timestamp(expiration);
  if (!credentials.expires_unix_s) {
    return fail(ErrorCode::invalid_input,
                "found the expiration \"" + shown(expiration) + "\", expected a moment in UTC");
  }
  return credentials;
}

}  // namespace

std::string form_encoded(std::string_view text) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

std::string web_identity_form(const std::string& role_arn, const std::string& session,
                              const std::string& token) {
  return "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + form_encoded(role_arn) +
         "&RoleSessionName=" + form_encoded(session.empty() ? "postern-agent" : session) +
         "&WebIdentityToken=" + form_encoded(token);
}

Result<AwsCredentials> read_web_identity_answer(int status, std::string_view body) {
  const auto root = parse_xml(body);
  if (status != 200) {
    if (!root) return fail(ErrorCode::io, status_text(status));
    const std::string code = root->text_of({"Error", "Code"});
    return fail(status >= 500 ? ErrorCode::io : ErrorCode::permission,
                status_text(status) + " " + shown(code + ": " + root->text_of({"Error", "Message"})));
  }
  if (!root) return fail_as(root);
  const XmlElement* found = root->find({"AssumeRoleWithWebIdentityResult", "Credentials"});
  if (found == nullptr) {
    return fail(ErrorCode::invalid_input, "found <" + shown(root->name) +
                                              "> without credentials, expected "
                                              "AssumeRoleWithWebIdentityResult/Credentials");
  }
  return checked({found->text_of({"AccessKeyId"}), found->text_of({"SecretAccessKey"}),
                  found->text_of({"SessionToken"}), std::nullopt},
                 found->text_of({"Expiration"}));
}

Result<AwsCredentials> read_json_credentials(int status, std::string_view body) {
  const auto answer = parse_json(body);
  if (status != 200) {
    std::string why = text_member(answer, "message");
    if (why.empty()) why = text_member(answer, "Message");
    return fail(status >= 500 ? ErrorCode::io : ErrorCode::permission,
                shown(status_text(status) + (why.empty() ? "" : ": " + why)));
  }
  if (!answer.is_object())
    return fail(ErrorCode::invalid_input, "found no JSON object, expected credentials");
  const std::string code = text_member(answer, "Code");
  if (!code.empty() && code != "Success") {
    return fail(ErrorCode::permission, shown(code + ": " + text_member(answer, "Message")));
  }
  return checked({text_member(answer, "AccessKeyId"), text_member(answer, "SecretAccessKey"),
                  text_member(answer, "Token"), std::nullopt},
                 text_member(answer, "Expiration"));
}

std::string tag_form(const std::string& instance, const std::string& key) {
  return "Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1=" +
         form_encoded(instance) + "&Filter.2.Name=key&Filter.2.Value.1=" + form_encoded(key);
}

Result<std::optional<std::string>> read_tag_answer(int status, std::string_view body) {
  const auto root = parse_xml(body);
  if (status != 200) {
    const std::string code = root ? root->text_of({"Errors", "Error", "Code"}) : "";
    const std::string why = root ? root->text_of({"Errors", "Error", "Message"}) : "";
    const std::string text = code.empty() ? "" : " " + code + (why.empty() ? "" : ": " + why);
    const bool again =
        status >= 500 || status == 429 || code == "RequestLimitExceeded" || code == "Throttling";
    return fail(again ? ErrorCode::io : ErrorCode::permission, shown(status_text(status) + text));
  }
  if (!root) return fail_as(root);
  const XmlElement* set = root->find({"tagSet"});
  if (set == nullptr)
    return fail(ErrorCode::invalid_input, "found <" + shown(root->name) + ">, expected one with a tagSet");
  const std::string value = set->text_of({"item", "value"});
  if (value.empty()) return std::optional<std::string>();
  return std::optional<std::string>(value);
}

ServiceError read_service_error(std::string_view body) {
  const auto answer = parse_json(body);
  ServiceError error;
  error.type = text_member(answer, "__type");
  if (error.type.empty()) error.type = text_member(answer, "code");
  const auto number_sign = error.type.rfind('#');
  if (number_sign != std::string::npos) error.type.erase(0, number_sign + 1);
  error.type = shown(error.type.substr(0, error.type.find(':')));
  error.message = text_member(answer, "message");
  if (error.message.empty()) error.message = text_member(answer, "Message");
  error.message = shown(error.message);
  return error;
}

}  // namespace postern::agent::aws
