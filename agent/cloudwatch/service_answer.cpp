// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/service_answer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "agent/aws/aws_answers.h"

namespace postern::agent::cloudwatch {
namespace {

struct Row {
  std::string_view type;
  Meaning meaning;
  bool throttled = false;
};

constexpr std::array kTypes = {
    Row{"ResourceAlreadyExistsException", Meaning::taken},
    Row{"DataAlreadyAcceptedException", Meaning::taken},
    Row{"ResourceNotFoundException", Meaning::missing},
    Row{"ThrottlingException", Meaning::busy, true},
    Row{"Throttling", Meaning::busy, true},
    Row{"RequestLimitExceeded", Meaning::busy, true},
    Row{"TooManyRequestsException", Meaning::busy, true},
    Row{"ServiceUnavailableException", Meaning::busy},
    Row{"ServiceUnavailable", Meaning::busy},
    Row{"InternalFailure", Meaning::busy},
    Row{"RequestTimeoutException", Meaning::busy},
    // Another node makes the same group at this moment.
    Row{"OperationAbortedException", Meaning::busy},
    Row{"InvalidParameterException", Meaning::malformed},
    Row{"ValidationException", Meaning::malformed},
    Row{"SerializationException", Meaning::malformed},
    Row{"ExpiredTokenException", Meaning::credentials},
    Row{"ExpiredToken", Meaning::credentials},
    Row{"UnrecognizedClientException", Meaning::credentials},
    Row{"InvalidClientTokenId", Meaning::credentials},
    Row{"AccessDeniedException", Meaning::credentials},
    Row{"NotAuthorized", Meaning::credentials},
    Row{"OptInRequired", Meaning::credentials},
    Row{"InvalidSignatureException", Meaning::credentials},
    Row{"IncompleteSignature", Meaning::credentials},
    Row{"MissingAuthenticationTokenException", Meaning::credentials},
};

Meaning of_status(int status) {
  if (status >= 500 || status == 429 || status == 408) return Meaning::busy;
  if (status == 401 || status == 403) return Meaning::credentials;
  if (status == 413) return Meaning::malformed;
  return Meaning::refused;
}

// An index of the batch, or nothing. Never beyond it.
std::optional<std::size_t> index_in(const nlohmann::json& info, const char* name, std::size_t most) {
  const auto found = info.find(name);
  if (found == info.end() || !found->is_number_integer()) return std::nullopt;
  const auto index = found->get<std::int64_t>();
  if (index < 0) return 0;
  return std::min(static_cast<std::size_t>(index), most);
}

}  // namespace

ReadAnswer read_answer(const ServiceAnswer& answer) {
  if (answer.status >= 200 && answer.status < 300) return {Meaning::taken, false, "", ""};
  const aws::ServiceError error = aws::read_service_error(answer.body);
  ReadAnswer read;
  read.code = error.type.empty() ? "HTTP " + std::to_string(answer.status) : error.type;
  read.detail = error.message.empty() ? read.code : read.code + ": " + error.message;
  read.throttled = answer.status == 429;
  read.meaning = of_status(answer.status);
  const auto row =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const Row& known) { return known.type == error.type; });
  if (row != kTypes.end()) {
    read.meaning = row->meaning;
    read.throttled = row->throttled;
  }
  return read;
}

RejectedEvents read_rejected(std::string_view body, std::size_t batch_events) {
  RejectedEvents rejected;
  const auto answer = nlohmann::json::parse(body.begin(), body.end(), nullptr, false);
  if (!answer.is_object()) return rejected;
  const auto info = answer.find("rejectedLogEventsInfo");
  if (info == answer.end() || !info->is_object()) return rejected;
  // The old ones lead the batch, up to an index that is no longer one of them; the new ones end it.
  rejected.too_old = index_in(*info, "tooOldLogEventEndIndex", batch_events).value_or(0);
  const std::size_t expired_end = index_in(*info, "expiredLogEventEndIndex", batch_events).value_or(0);
  const std::size_t kept_from = std::max(rejected.too_old, expired_end);
  rejected.expired = kept_from - rejected.too_old;
  const auto new_from = index_in(*info, "tooNewLogEventStartIndex", batch_events);
  if (new_from) rejected.too_new = batch_events - std::max(*new_from, kept_from);
  return rejected;
}

}  // namespace postern::agent::cloudwatch
