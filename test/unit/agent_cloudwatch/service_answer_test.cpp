// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/service_answer.h"

#include <gtest/gtest.h>

namespace postern::agent::cloudwatch {
namespace {

TEST(ServiceAnswer, means_what_the_api_says) {
  const struct {
    int status;
    const char* body;
    Meaning meaning;
    bool throttled;
    const char* detail;
  } rows[] = {
      {200, "{}", Meaning::taken, false, ""},
      {200, "", Meaning::taken, false, ""},
      {400, R"({"__type":"ResourceAlreadyExistsException","message":"there"})", Meaning::taken, false,
       "ResourceAlreadyExistsException: there"},
      {400, R"({"__type":"DataAlreadyAcceptedException"})", Meaning::taken, false,
       "DataAlreadyAcceptedException"},
      {400, R"({"__type":"com.amazonaws.logs#ResourceNotFoundException","message":"no group"})",
       Meaning::missing, false, "ResourceNotFoundException: no group"},
      {400, R"({"__type":"ThrottlingException","message":"Rate exceeded"})", Meaning::busy, true,
       "ThrottlingException: Rate exceeded"},
      {503, R"({"__type":"ServiceUnavailableException"})", Meaning::busy, false,
       "ServiceUnavailableException"},
      {400, R"({"__type":"OperationAbortedException"})", Meaning::busy, false, "OperationAbortedException"},
      {500, "", Meaning::busy, false, "HTTP 500"},
      {502, "<html>", Meaning::busy, false, "HTTP 502"},
      {429, "", Meaning::busy, true, "HTTP 429"},
      {400, R"({"__type":"InvalidParameterException","message":"m"})", Meaning::malformed, false,
       "InvalidParameterException: m"},
      {400, R"({"__type":"SerializationException"})", Meaning::malformed, false, "SerializationException"},
      {413, "", Meaning::malformed, false, "HTTP 413"},
      {400, R"({"__type":"ExpiredTokenException"})", Meaning::credentials, false, "ExpiredTokenException"},
      {400, R"({"__type":"UnrecognizedClientException"})", Meaning::credentials, false,
       "UnrecognizedClientException"},
      {400, R"({"__type":"AccessDeniedException"})", Meaning::credentials, false, "AccessDeniedException"},
      {403, R"({"__type":"InvalidSignatureException"})", Meaning::credentials, false,
       "InvalidSignatureException"},
      {403, "", Meaning::credentials, false, "HTTP 403"},
      {400, R"({"__type":"LimitExceededException"})", Meaning::refused, false, "LimitExceededException"},
      {404, "not here", Meaning::refused, false, "HTTP 404"},
      {301, "", Meaning::refused, false, "HTTP 301"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::to_string(row.status) + " " + row.body);
    const auto read = read_answer({row.status, std::nullopt, row.body});
    EXPECT_EQ(read.meaning, row.meaning);
    EXPECT_EQ(read.throttled, row.throttled);
    EXPECT_EQ(read.detail, row.detail);
  }
}

TEST(RejectedEvents, are_counted_by_reason_and_never_beyond_the_batch) {
  const struct {
    const char* info;
    std::size_t too_old, expired, too_new;
  } rows[] = {
      {"{}", 0, 0, 0},
      {R"({"tooOldLogEventEndIndex":3})", 3, 0, 0},
      {R"({"expiredLogEventEndIndex":4})", 0, 4, 0},
      {R"({"tooOldLogEventEndIndex":3,"expiredLogEventEndIndex":4})", 3, 1, 0},
      {R"({"tooOldLogEventEndIndex":4,"expiredLogEventEndIndex":3})", 4, 0, 0},
      {R"({"tooNewLogEventStartIndex":7})", 0, 0, 3},
      {R"({"tooNewLogEventStartIndex":0})", 0, 0, 10},
      {R"({"tooOldLogEventEndIndex":3,"expiredLogEventEndIndex":5,"tooNewLogEventStartIndex":8})", 3, 2, 2},
      {R"({"tooOldLogEventEndIndex":99})", 10, 0, 0},
      {R"({"tooNewLogEventStartIndex":99})", 0, 0, 0},
      {R"({"tooOldLogEventEndIndex":8,"tooNewLogEventStartIndex":2})", 8, 0, 2},
      {R"({"tooOldLogEventEndIndex":-1,"tooNewLogEventStartIndex":"x"})", 0, 0, 0},
      {"null", 0, 0, 0},
      {"[]", 0, 0, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.info);
    const auto rejected = read_rejected(
        R"({"nextSequenceToken":"x","rejectedLogEventsInfo":)" + std::string(row.info) + "}", 10);
    EXPECT_EQ(rejected.too_old, row.too_old);
    EXPECT_EQ(rejected.expired, row.expired);
    EXPECT_EQ(rejected.too_new, row.too_new);
  }
  EXPECT_EQ(read_rejected("", 10).too_old, 0u);
  EXPECT_EQ(read_rejected("[1", 10).too_new, 0u);
}

}  // namespace
}  // namespace postern::agent::cloudwatch
