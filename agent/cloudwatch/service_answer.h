// SPDX-License-Identifier: Apache-2.0
// What an answer of CloudWatch Logs means for what is sent next, and which events of a taken batch it did
// not keep. Pure.
//
// Source: the CloudWatch Logs API reference, errors of PutLogEvents, CreateLogStream and CreateLogGroup,
// and "Common Errors".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/time.h"

namespace postern::agent::cloudwatch {

struct ServiceAnswer {
  int status = 0;
  std::optional<Duration> retry_after;
  std::string_view body;
};

enum class Meaning : std::uint8_t {
  taken,        // done, or had been done before
  missing,      // the stream or its group is not there
  busy,         // the same again, later
  malformed,    // something in this very request
  credentials,  // whoever asks is not, or no longer, allowed to
  refused,      // anything else: the same again, much later
};

struct ReadAnswer {
  Meaning meaning = Meaning::refused;
  bool throttled = false;
  std::string code;    // "ThrottlingException", or "HTTP 502" where the service names none
  std::string detail;  // code and message
};
ReadAnswer read_answer(const ServiceAnswer& answer);

// Of a batch that was taken: how many of its events were not. Together never more than the batch has.
struct RejectedEvents {
  std::size_t too_old = 0;
  std::size_t expired = 0;
  std::size_t too_new = 0;
};
RejectedEvents read_rejected(std::string_view body, std::size_t batch_events);

}  // namespace postern::agent::cloudwatch
