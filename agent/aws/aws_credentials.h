// SPDX-License-Identifier: Apache-2.0
// What a request is signed with. Never logged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace postern::agent::aws {

struct AwsCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;                   // empty: these are no temporary ones
  std::optional<std::int64_t> expires_unix_s;  // nothing: never
  friend bool operator==(const AwsCredentials&, const AwsCredentials&) = default;
};

}  // namespace postern::agent::aws
