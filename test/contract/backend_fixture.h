// SPDX-License-Identifier: Apache-2.0
// One backend, one pod, tables by hand: the ground on which the contract's tests stand.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/conntrack/conntrack_view.h"
#include "engine/enforce/backend.h"
#include "test/contract/table_writer.h"

namespace postern::test {

struct BackendCase {
  std::string name;  // letters only: part of the test's name
  BackendFactory make;
  IpFamily family = IpFamily::v4;  // of the test's packets
};

inline std::string name_of_case(const testing::TestParamInfo<BackendCase>& info) { return info.param.name; }
inline void PrintTo(const BackendCase& backend, std::ostream* out) { *out << backend.name; }

class Collector : public EventSink {
 public:
  void on_event(const pn_event& event) override { events.push_back(event); }
  std::vector<pn_event> events;
};

// Final steps the tests write; the number is the rule.
inline std::uint32_t rule(std::uint32_t number) { return pn_step_allow(PN_REASON_RULE, number); }
inline std::uint32_t denied() { return pn_step_deny(PN_REASON_ISOLATED, 0); }

class BackendContract : public testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override {
    family() = GetParam().family;
    auto made = GetParam().make(small_sizes());
    ASSERT_TRUE(made) << made.error().to_string();
    backend_ = std::move(*made);
    tables_ = std::make_unique<TableWriter>(small_sizes(), backend_->clock().shift);
  }

  TableWriter& tables() { return *tables_; }
  Backend& backend() { return *backend_; }

  void apply(const TableDelta& delta) {
    const auto done = backend_->apply(delta);
    ASSERT_TRUE(done) << done.error().to_string();
  }

  // Puts in force what was written, and the backend on the pod's interface.
  void enforce() {
    apply(tables().take());
    const auto attached = backend_->attach(kIfindex);
    ASSERT_TRUE(attached) << attached.error().to_string();
  }

  // As a policy change that may narrow ends.
  void bump_epoch() {
    tables().node().epoch += 1;
    enforce();
  }

  Classified send(pn_direction direction, const Bytes& frame) {
    return backend_->injector()->classify(kIfindex, static_cast<std::uint8_t>(direction), frame, now_);
  }
  Classified in(const Bytes& frame) { return send(PN_INGRESS, frame); }
  Classified out(const Bytes& frame) { return send(PN_EGRESS, frame); }

  void wait_ticks(std::int64_t ticks) { now_ = now_ + Duration{ticks * backend_->clock().tick_ns}; }

  std::vector<ConntrackEntry> connections() {
    auto entries = backend_->conntrack();
    EXPECT_TRUE(entries) << entries.error().to_string();
    return entries ? *entries : std::vector<ConntrackEntry>{};
  }

  std::vector<pn_event> events() {
    Collector collector;
    const auto drained = backend_->drain_events(collector);
    EXPECT_TRUE(drained) << drained.error().to_string();
    return collector.events;
  }
  std::vector<pn_event> monitored() {
    Collector collector;
    const auto drained = backend_->drain_monitor(collector);
    EXPECT_TRUE(drained) << drained.error().to_string();
    return collector.events;
  }

  // What the datapath takes for the time.
  std::uint32_t tick() { return static_cast<std::uint32_t>(now_.ns / backend_->clock().tick_ns); }

  pn_counter counter(pn_direction direction, pn_reason reason) {
    const auto all = backend_->counters();
    EXPECT_TRUE(all) << all.error().to_string();
    const std::uint32_t index = pn_counter_index(direction, reason);
    return all && index < all->size() ? (*all)[index] : pn_counter{};
  }
  std::uint64_t counted(pn_node_counter which) {
    const auto all = backend_->counters();
    EXPECT_TRUE(all) << all.error().to_string();
    return all && which < all->size() ? (*all)[which].packets : 0;
  }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<TableWriter> tables_;
  Instant now_{std::int64_t{1000} << 30};
};

// Tests that judge packets: skipped where a backend cannot hand itself single ones.
class PacketContract : public BackendContract {
 protected:
  void SetUp() override {
    BackendContract::SetUp();
    if (HasFatalFailure()) return;
    if (backend().injector() == nullptr) GTEST_SKIP() << "this backend classifies no single packets";
  }
};

inline testing::AssertionResult has_verdict(const Classified& result, bool allow, pn_reason reason) {
  if (result.allow == allow && pn_step_reason(result.step) == static_cast<pn_u32>(reason)) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << (result.allow ? "allowed" : "denied") << " with reason "
                                     << pn_step_reason(result.step) << "; expected "
                                     << (allow ? "allowed" : "denied") << " with reason " << reason;
}

#define EXPECT_ALLOWED(result, reason) EXPECT_TRUE(has_verdict((result), true, (reason)))
#define EXPECT_DENIED(result, reason) EXPECT_TRUE(has_verdict((result), false, (reason)))

constexpr Socket kPodHttp{kPod, 80};
constexpr Socket kClient{ip4(10, 0, 0, 5), 40000};
constexpr Socket kStranger{ip4(10, 0, 1, 1), 40000};

}  // namespace postern::test
