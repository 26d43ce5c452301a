// SPDX-License-Identifier: Apache-2.0
// The datapath compiled for this process against the same source compiled for the kernel: equal
// bytes in the tables, equal time, equal packets; then verdict, reason and rule, connections,
// counters, events and tables must be equal too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <tuple>

#include "backends/native/native_backend.h"
#include "test/kernel/injected_backend.h"
#include "test/kernel/random_world.h"

namespace postern {
namespace {

constexpr int kWorlds = 12;
constexpr int kPacketsPerWorld = 2500;
constexpr int kPacketsPerEdit = 100;

struct Collector final : EventSink {
  void on_event(const pn_event& event) override {
    events.push_back(event);
    events.back().time_ns = 0;  // of two clocks
  }
  std::vector<pn_event> events;
};

template <typename T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

std::vector<ConntrackEntry> sorted_connections(const Backend& backend) {
  auto entries = backend.conntrack();
  EXPECT_TRUE(entries) << entries.error().to_string();
  if (!entries) return {};
  std::sort(entries->begin(), entries->end(), [](const ConntrackEntry& a, const ConntrackEntry& b) {
    return std::memcmp(&a, &b, sizeof a) < 0;
  });
  return *entries;
}

std::string describe(const test::RandomPacket& packet) {
  std::string text = "ifindex " + std::to_string(packet.ifindex) + (packet.direction == PN_INGRESS ? " ingress" : " egress");
  for (const std::byte byte : packet.frame) {
    constexpr const char* digits = "0123456789abcdef";
    text += ' ';
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string describe(const std::vector<ConntrackEntry>& entries) {
  std::string text;
  for (const auto& [key, value] : entries) {
    for (const std::uint32_t number : {key.address_a, key.address_b, std::uint32_t{key.port_a}, std::uint32_t{key.port_b},
                                       key.endpoint_protocol, value.epoch, value.seen, value.state, value.step}) {
      text += ' ' + std::to_string(number);
    }
    text += '\n';
  }
  return text;
}

std::uint64_t first_seed() {
  if (const char* text = std::getenv("POSTERN_TEST_SEED"); text != nullptr) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

class Pair {
 public:
  Pair() {
    auto native = make_native_backend(test::RandomWorld::sizes());
    auto kernel = test::make_injected_tc_backend(test::RandomWorld::sizes());
    EXPECT_TRUE(native) << native.error().to_string();
    EXPECT_TRUE(kernel) << kernel.error().to_string();
    if (native) native_ = std::move(*native);
    if (kernel) kernel_ = std::move(*kernel);
    if (!made()) return;
    for (const std::uint32_t ifindex : test::world_interfaces()) {
      EXPECT_TRUE(native_->attach(ifindex));
      EXPECT_TRUE(kernel_->attach(ifindex));
    }
  }
  [[nodiscard]] bool made() const { return native_ != nullptr && kernel_ != nullptr; }

  void apply(const TableDelta& delta) {
    const auto native = native_->apply(delta);
    const auto kernel = kernel_->apply(delta);
    EXPECT_TRUE(native) << native.error().to_string();
    EXPECT_TRUE(kernel) << kernel.error().to_string();
  }

  // False at the first difference. `seen` collects reasons.
  bool classify(const test::RandomPacket& packet, Instant now, std::set<std::uint32_t>& seen) {
    const Classified native = native_->injector()->classify(packet.ifindex, packet.direction, packet.frame, now);
    const Classified kernel = kernel_->injector()->classify(packet.ifindex, packet.direction, packet.frame, now);
    seen.insert(pn_step_reason(kernel.step));
    EXPECT_EQ(native.allow, kernel.allow) << describe(packet);
    EXPECT_EQ(native.step, kernel.step) << describe(packet);
    return native.allow == kernel.allow && native.step == kernel.step;
  }

  void compare_state() {
    const auto native_connections = sorted_connections(*native_);
    const auto kernel_connections = sorted_connections(*kernel_);
    EXPECT_TRUE(same_bytes(native_connections, kernel_connections))
        << "native:\n" << describe(native_connections) << "kernel:\n" << describe(kernel_connections);
    const auto native_counters = native_->counters();
    const auto kernel_counters = kernel_->counters();
    ASSERT_TRUE(native_counters && kernel_counters);
    EXPECT_TRUE(same_bytes(*native_counters, *kernel_counters)) << "counters differ";
    Collector native_events, kernel_events;
    ASSERT_TRUE(native_->drain_events(native_events) && kernel_->drain_events(kernel_events));
    EXPECT_EQ(native_events.events.size(), kernel_events.events.size());
    EXPECT_TRUE(same_bytes(native_events.events, kernel_events.events)) << "events differ";
    const auto native_tables = native_->dump();
    const auto kernel_tables = kernel_->dump();
    ASSERT_TRUE(native_tables && kernel_tables);
    EXPECT_TRUE(*native_tables == *kernel_tables) << "tables differ";
  }

  // Ages or forgets on both sides alike.
  void disturb(Prng& random) {
    const Duration by = seconds(static_cast<std::int64_t>(random.below(20)));
    const EndpointId endpoint{static_cast<std::uint32_t>(random.below(7))};
    for (Backend* backend : {native_.get(), kernel_.get()}) {
      ASSERT_TRUE(backend->age_connections(by));
      if (endpoint.value == 0) continue;
      ASSERT_TRUE(backend->forget_connections(endpoint));
    }
  }

 private:
  std::unique_ptr<Backend> native_, kernel_;
};

TEST(NativeAgainstKernel, AgreeOnRandomPacketsOverRandomTables) {
  const std::uint64_t base = first_seed();
  std::set<std::uint32_t> reasons;
  Instant now{seconds(1'000'000).ns};
  for (int number = 0; number < kWorlds; ++number) {
    const std::uint64_t seed = base + static_cast<std::uint64_t>(number);
    SCOPED_TRACE("repeat with POSTERN_TEST_SEED=" + std::to_string(seed));
    test::RandomWorld world(seed);
    Prng random(~seed);
    Pair pair;
    ASSERT_TRUE(pair.made());
    pair.apply(world.tables());
    for (int packet = 0; packet < kPacketsPerWorld; ++packet) {
      const test::RandomPacket next = world.packet();
      now = now + next.after;
      ASSERT_TRUE(pair.classify(next, now, reasons)) << "packet " << packet;
      if (packet % kPacketsPerEdit != kPacketsPerEdit - 1) continue;
      pair.compare_state();
      ASSERT_FALSE(HasFailure()) << "after packet " << packet;
      pair.apply(world.edit());
      if (random.below(4) == 0) pair.disturb(random);
    }
  }
  // A run that never got somewhere says nothing about it.
  for (const std::uint32_t reason :
       {PN_REASON_NONE, PN_REASON_NOT_ISOLATED, PN_REASON_RULE, PN_REASON_ESTABLISHED, PN_REASON_RELATED, PN_REASON_SELF,
        PN_REASON_ALWAYS, PN_REASON_ISOLATED, PN_REASON_STRICT, PN_REASON_SPOOFED_SOURCE, PN_REASON_FRAGMENT,
        PN_REASON_MALFORMED, PN_REASON_PROTOCOL, PN_REASON_ETHERTYPE}) {
    EXPECT_EQ(reasons.count(reason), 1u) << "reason " << reason << " was never reached, base seed " << base;
  }
}

}  // namespace
}  // namespace postern
