// SPDX-License-Identifier: Apache-2.0
// The delivery against a service that answers at random, in virtual time: every request within the limits,
// order kept, every event in exactly one count, and the end reached once the service behaves.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/cloudwatch/log_delivery.h"
#include "engine/base/prng.h"
#include "test/support/effort.h"

namespace postern::agent::cloudwatch {
namespace {

class RandomService {
 public:
  explicit RandomService(std::uint64_t seed) : prng_(seed), delivery_(options(prng_), seed) {}

  void run() {
    delivery_.start({"g", "s"}, now_);
    for (int step = 0; step < 400 && !::testing::Test::HasFailure(); ++step) {
      for (auto n = prng_.below(30); n > 0; --n) add();
      move(prng_.below(4) == 0);
      check();
    }
    // From here on it behaves.
    for (int step = 0; step < 2000 && !delivery_.empty(); ++step) move(false);
    check();
    EXPECT_TRUE(delivery_.empty());
    EXPECT_EQ(delivery_.counters().sent, stored_.size());
    EXPECT_EQ(delivery_.counters().lost_refused, poisoned_);
    EXPECT_EQ(delivery_.counters().lost_too_old, too_old_);
    EXPECT_EQ(delivery_.counters().lost_queue_full, full_);
    for (std::size_t i = 1; i < stored_.size(); ++i) ASSERT_LT(stored_[i - 1], stored_[i]);
  }

 private:
  static DeliveryOptions options(Prng& prng) {
    DeliveryOptions made;
    made.most_events = 20 + prng.below(400);
    made.most_bytes = 5000 + prng.below(60'000);
    return made;
  }

  void add() {
    // Numbers rise with time, so that the order of arrival is the order of numbers.
    std::string message = std::to_string(number_++);
    if (prng_.below(50) == 0) message += "P";
    if (prng_.below(20) == 0) message += "O";
    message.resize(message.size() + prng_.below(300), '.');
    const auto& counters = delivery_.counters();
    const auto before = counters.lost_queue_full;
    delivery_.add(static_cast<std::int64_t>(number_), message, now_);
    full_ += counters.lost_queue_full - before;
    EXPECT_LE(counters.held_events, 420u);
    EXPECT_LE(counters.held_bytes, 65'000u);
  }

  void move(bool badly) {
    const auto& want = delivery_.want();
    if (want.request == 0) {
      now_ = now_ + milliseconds(static_cast<std::int64_t>(prng_.below(3000)));
      if (prng_.below(2) == 0 && want.wake != LogDelivery::kNever) now_ = std::max(now_, want.wake);
      return delivery_.on_time(now_);
    }
    if (badly) return misbehave();
    answer();
  }

  void misbehave() {
    static constexpr const char* kTypes[] = {"ThrottlingException", "ServiceUnavailableException",
                                             "ExpiredTokenException", "AccessDeniedException",
                                             "LimitExceededException"};
    const auto which = prng_.below(8);
    if (which == 5) return delivery_.on_no_answer("no answer", "gone", now_);
    if (which == 6) return delivery_.on_answer({502, std::nullopt, "<html>"}, now_);
    if (which == 7) {
      have_stream_ = false;
      have_group_ = have_group_ && prng_.below(2) == 0;
      return answer();
    }
    refuse(kTypes[which]);
  }

  void refuse(const std::string& type) {
    delivery_.on_answer({400, std::nullopt, R"({"__type":")" + type + R"("})"}, now_);
  }

  void answer() {
    switch (delivery_.want().operation) {
      case Operation::create_group:
        if (std::exchange(have_group_, true)) return refuse("ResourceAlreadyExistsException");
        break;
      case Operation::create_stream:
        if (!have_group_) return refuse("ResourceNotFoundException");
        if (std::exchange(have_stream_, true)) return refuse("ResourceAlreadyExistsException");
        break;
      case Operation::put_events: return put();
    }
    delivery_.on_answer({200, std::nullopt, "{}"}, now_);
  }

  void put() {
    const auto events = nlohmann::json::parse(delivery_.body())["logEvents"];
    std::size_t bytes = 0;
    std::int64_t last_ms = 0;
    std::vector<std::pair<std::uint64_t, bool>> numbers;
    bool poison = false;
    for (const auto& event : events) {
      const auto message = event["message"].get<std::string>();
      bytes += message.size() + 26;
      EXPECT_LE(last_ms, event["timestamp"].get<std::int64_t>());
      last_ms = event["timestamp"].get<std::int64_t>();
      poison = poison || message.find('P') != std::string::npos;
      numbers.emplace_back(std::stoull(message), message.find('O') != std::string::npos);
    }
    EXPECT_LE(bytes, 1'048'576u);
    ASSERT_TRUE(!numbers.empty() && numbers.size() <= 10'000);
    if (!have_stream_) return refuse("ResourceNotFoundException");
    if (poison) {
      if (numbers.size() == 1) ++poisoned_;
      return refuse("InvalidParameterException");
    }
    // The old ones lead; here any that begin the batch.
    std::size_t old = 0;
    while (old < numbers.size() && numbers[old].second) ++old;
    too_old_ += old;
    for (std::size_t i = old; i < numbers.size(); ++i) stored_.push_back(numbers[i].first);
    const std::string info =
        old == 0 ? "{}"
                 : R"({"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":)" + std::to_string(old) + "}}";
    delivery_.on_answer({200, std::nullopt, info}, now_);
  }

  void check() {
    const auto& counters = delivery_.counters();
    ASSERT_EQ(counters.added, counters.sent + counters.lost() + counters.held_events);
    ASSERT_EQ(counters.added, number_);
  }

  Prng prng_;
  LogDelivery delivery_;
  Instant now_{1'000'000'000};
  std::uint64_t number_ = 0;
  bool have_group_ = false;
  bool have_stream_ = false;
  std::vector<std::uint64_t> stored_;
  std::uint64_t poisoned_ = 0;
  std::uint64_t too_old_ = 0;
  std::uint64_t full_ = 0;
};

TEST(RandomService, no_event_is_lost_uncounted_or_out_of_order) {
  const std::uint64_t first = test::first_seed();
  for (std::uint64_t seed = first; seed < first + test::scaled(8); ++seed) {
    SCOPED_TRACE("POSTERN_TEST_SEED=" + std::to_string(seed));
    RandomService(seed).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace postern::agent::cloudwatch
