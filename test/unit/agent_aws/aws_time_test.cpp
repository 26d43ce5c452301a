// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/aws_time.h"

#include <gtest/gtest.h>

namespace postern::agent::aws {
namespace {

TEST(AmazonTime, moments_are_written_in_utc) {
  EXPECT_EQ(amazon_date(0), "19700101T000000Z");
  EXPECT_EQ(amazon_date(1440938160), "20150830T123600Z");
  EXPECT_EQ(amazon_date(1709251199), "20240229T235959Z");
}

TEST(AmazonTime, timestamps_are_read_or_refused) {
  const struct {
    const char* text;
    std::optional<std::int64_t> unix_s;
  } rows[] = {
      {"2015-08-30T12:36:00Z", 1440938160},
      {"2015-08-30T12:36:00.000Z", 1440938160},
      {"2015-08-30T12:36:00.999999999Z", 1440938160},
      {"2024-02-29T23:59:59Z", 1709251199},
      {"", std::nullopt},
      {"2015-08-30T12:36:00", std::nullopt},
      {"2015-08-30T12:36:00+02:00", std::nullopt},
      {"2015-08-30 12:36:00Z", std::nullopt},
      {"2015-08-30T12:36:00,5Z", std::nullopt},
      {"2015-08-30T12:36:00.x5Z", std::nullopt},
      {"2015-13-30T12:36:00Z", std::nullopt},
      {"2015-00-30T12:36:00Z", std::nullopt},
      {"2015-08-00T12:36:00Z", std::nullopt},
      {"2015-08-30T24:36:00Z", std::nullopt},
      {"2015-08-30T12:60:00Z", std::nullopt},
      {"1440938160", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(parse_timestamp(row.text), row.unix_s) << row.text;
}

}  // namespace
}  // namespace postern::agent::aws
