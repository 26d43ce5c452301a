// SPDX-License-Identifier: Apache-2.0
// Signature version 4, by which Amazon's services know who asks. A pure function of the request, the
// credentials and the moment.
//
// Source: "Signature Version 4 signing process", AWS General Reference. As for every service but S3, the
// path is normalised and its percent signs are encoded once more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/aws/aws_credentials.h"

namespace postern::agent::aws {

struct RequestToSign {
  std::string method;
  std::string host;        // as the Host header says it: with its port unless that is the scheme's own
  std::string path = "/";  // as the request line has it
  std::string query{};     // the same, without "?"
  std::vector<std::pair<std::string, std::string>> headers{};  // signed beside host and the date
  std::string_view body{};
};

struct SigningScope {
  std::string region;
  std::string service;  // "logs"
};

// The header lines that the request needs besides its own: X-Amz-Date, X-Amz-Security-Token with temporary
// credentials, Authorization.
std::vector<std::string> sign(const RequestToSign& request, const AwsCredentials& credentials,
                              const SigningScope& scope, std::int64_t unix_s);

}  // namespace postern::agent::aws
