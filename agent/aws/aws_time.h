// SPDX-License-Identifier: Apache-2.0
// Moments as Amazon's services write them. Seconds of Unix time, UTC, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::agent::aws {

// "20150830T123600Z"
std::string amazon_date(std::int64_t unix_s);

// "2026-01-02T03:04:05Z", with or without a fraction of a second, which is cut off. Nothing for other text.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

}  // namespace postern::agent::aws
