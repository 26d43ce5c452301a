// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/backend_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <random>

#include "backends/native/native_backend.h"
#include "test/kernel/injected_backend.h"

namespace postern::test {
namespace {

struct Collector final : EventSink {
  void on_event(const pn_event& event) override {
    events.push_back(event);
    events.back().time_ns = 0;                       // of two clocks
    events.back().cpu = events.back().sequence = 0;  // the kernel may have moved this thread
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

std::string describe(const std::vector<ConntrackEntry>& entries) {
  std::string text;
  for (const ConntrackEntry& entry : entries) {
    const pn_ct_key& key = entry.key;
    const pn_ct_value& value = entry.value;
    for (const std::uint64_t number :
         {key.address_a.high, key.address_a.low, key.address_b.high, key.address_b.low,
          std::uint64_t{key.port_a}, std::uint64_t{key.port_b}, std::uint64_t{key.endpoint_protocol},
          std::uint64_t{value.epoch}, std::uint64_t{value.seen}, std::uint64_t{value.state},
          std::uint64_t{value.step}}) {
      text += ' ' + std::to_string(number);
    }
    text += '\n';
  }
  return text;
}

void expect_done(const Result<void>& result, const char* whose) {
  EXPECT_TRUE(result) << whose << ": " << result.error().to_string();
}

}  // namespace

std::string describe(const Injected& packet) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text =
      "ifindex " + std::to_string(packet.ifindex) + (packet.direction == PN_INGRESS ? " ingress" : " egress");
  for (const std::byte byte : packet.frame) {
    text +=
        {' ', kDigits[std::to_integer<unsigned>(byte) >> 4], kDigits[std::to_integer<unsigned>(byte) & 15]};
  }
  return text;
}

BackendPair::BackendPair(const TableSizes& sizes) {
  auto native = make_native_backend(sizes);
  auto kernel = make_injected_tc_backend(sizes);
  EXPECT_TRUE(native) << native.error().to_string();
  EXPECT_TRUE(kernel) << kernel.error().to_string();
  if (native) native_ = std::move(*native);
  if (kernel) kernel_ = std::move(*kernel);
}

void BackendPair::attach(std::uint32_t ifindex) {
  if (!attached_.insert(ifindex).second) return;
  expect_done(native_->attach(ifindex), "native");
  expect_done(kernel_->attach(ifindex), "kernel");
}

void BackendPair::apply(const TableDelta& delta) {
  expect_done(native_->apply(delta), "native");
  expect_done(kernel_->apply(delta), "kernel");
}

void BackendPair::reset() {
  const PolicyTables empty(native_->sizes());
  const auto now = native_->dump();
  ASSERT_TRUE(now);
  apply(diff(*now, empty));
  for (Backend* backend : {native_.get(), kernel_.get()})
    expect_done(backend->forget_connections({}), "reset");
  compare_tables(empty);
}

std::optional<Classified> BackendPair::classify(const Injected& packet, Instant now) {
  const Classified native =
      native_->injector()->classify(packet.ifindex, packet.direction, packet.frame, now);
  const Classified kernel =
      kernel_->injector()->classify(packet.ifindex, packet.direction, packet.frame, now);
  EXPECT_EQ(native.allow, kernel.allow) << describe(packet);
  EXPECT_EQ(native.step, kernel.step) << describe(packet);
  if (native.allow != kernel.allow || native.step != kernel.step) return std::nullopt;
  return kernel;
}

void BackendPair::compare_state() {
  const auto native_connections = sorted_connections(*native_);
  const auto kernel_connections = sorted_connections(*kernel_);
  EXPECT_TRUE(same_bytes(native_connections, kernel_connections))
      << "native:\n"
      << describe(native_connections) << "kernel:\n"
      << describe(kernel_connections);
  const auto native_counters = native_->counters();
  const auto kernel_counters = kernel_->counters();
  ASSERT_TRUE(native_counters && kernel_counters);
  EXPECT_TRUE(same_bytes(*native_counters, *kernel_counters)) << "counters differ";
  Collector native_events, kernel_events;
  ASSERT_TRUE(native_->drain_events(native_events) && kernel_->drain_events(kernel_events));
  EXPECT_EQ(native_events.events.size(), kernel_events.events.size());
  EXPECT_TRUE(same_bytes(native_events.events, kernel_events.events)) << "events differ";
  const auto native_tables = native_->dump();
  ASSERT_TRUE(native_tables);
  compare_tables(*native_tables);
}

void BackendPair::compare_tables(const PolicyTables& expected) {
  const std::array<const Backend*, 2> backends{native_.get(), kernel_.get()};
  for (const Backend* backend : backends) {
    const auto tables = backend->dump();
    ASSERT_TRUE(tables) << tables.error().to_string();
    EXPECT_TRUE(*tables == expected) << "the tables of " << backend->name() << " differ";
  }
}

void BackendPair::disturb(Prng& random) {
  const Duration by = seconds(static_cast<std::int64_t>(random.below(20)));
  const EndpointId endpoint{static_cast<std::uint32_t>(random.below(7))};
  for (Backend* backend : {native_.get(), kernel_.get()}) {
    expect_done(backend->age_connections(by), "ageing");
    if (endpoint.value != 0) expect_done(backend->forget_connections(endpoint), "forgetting");
  }
}

std::uint64_t first_seed() {
  if (const char* text = std::getenv("POSTERN_TEST_SEED"); text != nullptr)
    return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

}  // namespace postern::test
