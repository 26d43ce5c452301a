// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>

#include "agent/aws/aws_time.h"
#include "agent/aws/lower_case.h"

namespace postern::agent::aws {
namespace {

constexpr const char* kAlgorithm = "AWS4-HMAC-SHA256";

std::string hex(std::string_view bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256(std::string_view text) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &length, EVP_sha256(),
             nullptr);
  digest.resize(length);
  return digest;
}

std::string hmac(std::string_view key, std::string_view text) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &length);
  digest.resize(length);
  return digest;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Without ".", ".." and empty segments, then everything but unreserved characters and "/" encoded.
std::string canonical_path(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const auto segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string text;
  for (const auto segment : kept) {
    text += '/';
    for (const char c : segment) {
      const bool unreserved = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                              c == '-' || c == '.' || c == '_' || c == '~';
      if (unreserved) {
        text += c;
      } else {
        const std::string digits = hex(std::string_view(&c, 1));
        text += '%';
        for (const char digit : digits) text += digit >= 'a' ? static_cast<char>(digit - 'a' + 'A') : digit;
      }
    }
  }
  if (text.empty() || path.back() == '/') text += '/';
  return text;
}

// By name, then by value.
std::string canonical_query(std::string_view query) {
  if (query.empty()) return "";
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (const auto part : split(query, '&')) {
    const auto equal = part.find('=');
    pairs.emplace_back(part.substr(0, equal),
                       equal == std::string_view::npos ? std::string_view() : part.substr(equal + 1));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string text;
  for (const auto& [name, value] : pairs) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

// Runs of blanks become one, those at the ends none.
std::string trimmed(std::string_view value) {
  std::string text;
  bool blank = false;
  for (const char c : value) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      blank = true;
      continue;
    }
    if (blank && !text.empty()) text += ' ';
    blank = false;
    text += c;
  }
  return text;
}

}  // namespace

std::vector<std::string> sign(const RequestToSign& request, const AwsCredentials& credentials,
                              const SigningScope& scope, std::int64_t unix_s) {
  const std::string moment = amazon_date(unix_s);
  const std::string date = moment.substr(0, 8);

  std::map<std::string, std::string> headers;
  const auto add = [&headers](const std::string& name, std::string_view value) {
    std::string& all = headers[lower(name)];
    if (!all.empty()) all += ',';
    all += trimmed(value);
  };
  for (const auto& [name, value] : request.headers) add(name, value);
  add("host", lower(request.host));
  add("x-amz-date", moment);
  if (!credentials.session_token.empty()) add("x-amz-security-token", credentials.session_token);

  std::string names;
  std::string lines;
  for (const auto& [name, value] : headers) {
    if (!names.empty()) names += ';';
    names += name;
    lines += name + ":" + value + "\n";
  }
  const std::string canonical = request.method + "\n" + canonical_path(request.path) + "\n" +
                                canonical_query(request.query) + "\n" + lines + "\n" + names + "\n" +
                                hex(sha256(request.body));
  const std::string of_day = date + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const std::string to_sign =
      std::string(kAlgorithm) + "\n" + moment + "\n" + of_day + "\n" + hex(sha256(canonical));
  const std::string key =
      hmac(hmac(hmac(hmac("AWS4" + credentials.secret_access_key, date), scope.region), scope.service),
           "aws4_request");

  std::vector<std::string> added = {"X-Amz-Date: " + moment};
  if (!credentials.session_token.empty())
    added.push_back("X-Amz-Security-Token: " + credentials.session_token);
  added.push_back(std::string("Authorization: ") + kAlgorithm + " Credential=" + credentials.access_key_id +
                  "/" + of_day + ", SignedHeaders=" + names + ", Signature=" + hex(hmac(key, to_sign)));
  return added;
}

}  // namespace postern::agent::aws
