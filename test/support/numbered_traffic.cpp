// SPDX-License-Identifier: Apache-2.0
#include "test/support/numbered_traffic.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace postern::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kStragglers = 100ms;
constexpr std::uint64_t kInARow = 20;  // datagrams that settle whether a flow passes
constexpr std::size_t kRanges = 8;     // of numbers that a line names

struct Datagram {
  std::uint64_t flow;
  std::uint64_t number;
};

// "3, 7-9, ..."
std::string ranges_of(const std::vector<std::uint64_t>& numbers) {
  std::string text;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (++ranges > kRanges) return text + ", ...";
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[i]);
    if (end - i > 1) text += "-" + std::to_string(numbers[end - 1]);
    i = end;
  }
  return text;
}

}  // namespace

NumberedTraffic::~NumberedTraffic() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

void NumberedTraffic::add(const Flow& flow) {
  State state;
  state.flow = flow;
  flows_.push_back(std::move(state));
}

void NumberedTraffic::start() {
  thread_ = std::thread([this] { run(); });
}

void NumberedTraffic::expect(const std::string& flow, Expected expected) {
  const std::lock_guard lock(mutex_);
  for (State& state : flows_) {
    if (state.flow.name == flow) state.flow.expected = expected;
  }
}

void NumberedTraffic::wait(std::uint64_t datagrams) {
  const std::uint64_t until = rounds_ + datagrams;
  while (rounds_ < until) std::this_thread::sleep_for(interval_);
}

bool NumberedTraffic::wait_until(const std::string& flow, bool passing, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  const std::uint64_t first = rounds_;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(interval_);
    const std::lock_guard lock(mutex_);
    for (const State& state : flows_) {
      // The last one may still be under way.
      const std::uint64_t known = state.arrived.empty() ? 0 : state.arrived.size() - 1;
      if (state.flow.name != flow || known < first + kInARow) continue;
      const auto last = state.arrived.begin() + static_cast<std::ptrdiff_t>(known);
      const bool settled = std::all_of(last - static_cast<std::ptrdiff_t>(kInARow), last,
                                       [&](bool arrived) { return arrived == passing; });
      if (settled) return true;
    }
  }
  return false;
}

void NumberedTraffic::run() {
  auto next = std::chrono::steady_clock::now();
  while (!ending_) {
    send_round();
    receive();
    next += interval_;
    std::this_thread::sleep_until(next);
  }
  for (const auto end = std::chrono::steady_clock::now() + kStragglers; std::chrono::steady_clock::now() < end;) {
    receive();
    std::this_thread::sleep_for(interval_);
  }
}

void NumberedTraffic::send_round() {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    State& state = flows_[i];
    const Datagram datagram{i, state.arrived.size()};
    state.expected.push_back(state.flow.expected);
    state.arrived.push_back(false);
    // What the hook drops on the way out may come back as an error; what counts is who receives.
    (void)::send(state.flow.from, &datagram, sizeof datagram, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  ++rounds_;
}

void NumberedTraffic::receive() {
  const std::lock_guard lock(mutex_);
  for (const State& reader : flows_) {
    Datagram datagram{};
    while (::recv(reader.flow.to, &datagram, sizeof datagram, MSG_DONTWAIT) == sizeof datagram) {
      if (datagram.flow >= flows_.size()) continue;
      State& state = flows_[datagram.flow];
      if (datagram.number < state.arrived.size()) state.arrived[datagram.number] = true;
    }
  }
}

std::string NumberedTraffic::judge(const State& state) const {
  std::vector<std::uint64_t> lost;
  std::vector<std::uint64_t> passed;
  for (std::uint64_t number = 0; number < state.arrived.size(); ++number) {
    if (state.expected[number] == Expected::passes && !state.arrived[number]) lost.push_back(number);
    if (state.expected[number] == Expected::is_dropped && state.arrived[number]) passed.push_back(number);
  }
  std::string text;
  const auto say = [&](const std::vector<std::uint64_t>& numbers, const char* what) {
    if (numbers.empty()) return;
    text += (text.empty() ? state.flow.name + ": " : "; ") + std::to_string(numbers.size()) + " of " +
            std::to_string(state.arrived.size()) + " " + what + ": " + ranges_of(numbers);
  };
  say(lost, "lost");
  say(passed, "passed");
  return text;
}

std::vector<std::string> NumberedTraffic::stop() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  std::vector<std::string> wrong;
  for (const State& state : flows_) {
    if (std::string text = judge(state); !text.empty()) wrong.push_back(std::move(text));
  }
  return wrong;
}

}  // namespace postern::test
