// SPDX-License-Identifier: Apache-2.0
// Numbered datagrams over any number of flows, while something is done to what stands between the two
// ends: a process killed, a program replaced, a policy changed. Every datagram of a flow has its number
// and its expectation, so afterwards each one that was lost or passed against it is named.
//
// The sockets are the caller's: connected, of whatever namespaces, both ends of one pair used for a flow
// there and another back if a connection is to live. They are read by nobody else meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace postern::test {

enum class Expected : std::uint8_t {
  passes,
  is_dropped,
  either,  // while a change takes hold
};

struct Flow {
  std::string name;
  int from = -1;  // connected datagram sockets
  int to = -1;
  Expected expected = Expected::passes;
};

class NumberedTraffic {
 public:
  explicit NumberedTraffic(std::chrono::microseconds interval) : interval_(interval) {}
  ~NumberedTraffic();
  NumberedTraffic(const NumberedTraffic&) = delete;
  NumberedTraffic& operator=(const NumberedTraffic&) = delete;

  // Before start().
  void add(const Flow& flow);
  // Sends a datagram of each flow every interval, from a thread of its own.
  void start();
  // From the next datagram of the flow on.
  void expect(const std::string& flow, Expected expected);
  // Until every flow has sent that many more.
  void wait(std::uint64_t datagrams);
  // Until twenty datagrams of a flow in a row, sent from now on, have passed (or, with passing false,
  // been lost), at most `patience`. False: it did not come to that.
  bool wait_until(const std::string& flow, bool passing, std::chrono::milliseconds patience);
  // Ends the sending, waits for what is under way, and says what went wrong: a line for each flow, as
  // "reply in: 12 of 4000 lost: 17-28" or "stranger in: 3 of 4000 passed: 9, 11-12". Empty: nothing.
  std::vector<std::string> stop();
  // Datagrams that each flow sent.
  [[nodiscard]] std::uint64_t sent() const { return rounds_; }

 private:
  struct State {
    Flow flow;
    std::vector<Expected> expected;  // by number
    std::vector<bool> arrived;
  };
  void run();
  void send_round();
  void receive();
  std::string judge(const State& state) const;

  std::chrono::microseconds interval_;
  mutable std::mutex mutex_;
  std::vector<State> flows_;
  std::atomic<std::uint64_t> rounds_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace postern::test
