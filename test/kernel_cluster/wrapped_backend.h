// SPDX-License-Identifier: Apache-2.0
// A backend that passes everything on to another, and lies about events as a test asks.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/enforce/backend.h"

namespace postern::sim::testing_support {

// What becomes of an event; none: it is kept from whoever drains.
using EventLie = std::function<std::vector<pn_event>(pn_event)>;

class WrappedBackend final : public Backend {
 public:
  WrappedBackend(std::unique_ptr<Backend> inner, EventLie lie)
      : inner_(std::move(inner)), lie_(std::move(lie)) {}

  [[nodiscard]] std::string_view name() const override { return inner_->name(); }
  [[nodiscard]] TickClock clock() const override { return inner_->clock(); }
  [[nodiscard]] const TableSizes& sizes() const override { return inner_->sizes(); }
  Result<void> apply(const TableDelta& delta) override { return inner_->apply(delta); }
  Result<PolicyTables> dump() const override { return inner_->dump(); }
  Result<void> attach(std::uint32_t ifindex) override { return inner_->attach(ifindex); }
  Result<void> detach(std::uint32_t ifindex) override { return inner_->detach(ifindex); }
  [[nodiscard]] const Inheritance& inheritance() const override { return inner_->inheritance(); }
  std::vector<std::string> take_notes() override { return inner_->take_notes(); }
  Result<std::vector<ConntrackEntry>> conntrack() const override { return inner_->conntrack(); }
  Result<void> forget_connections(EndpointId endpoint) override {
    return inner_->forget_connections(endpoint);
  }
  Result<void> age_connections(Duration by) override { return inner_->age_connections(by); }
  [[nodiscard]] ConnectionTable* connection_table() override { return inner_->connection_table(); }
  [[nodiscard]] NodeConnections* node_connections() override { return inner_->node_connections(); }
  Result<std::vector<pn_counter>> counters() const override { return inner_->counters(); }
  Result<std::size_t> drain_events(EventSink& sink) override {
    Filter filter(sink, lie_);
    return inner_->drain_events(filter);
  }
  [[nodiscard]] int event_fd() const override { return inner_->event_fd(); }
  Result<std::size_t> drain_monitor(EventSink& sink) override { return inner_->drain_monitor(sink); }
  [[nodiscard]] PacketInjector* injector() override { return inner_->injector(); }

 private:
  class Filter final : public EventSink {
   public:
    Filter(EventSink& sink, const EventLie& lie) : sink_(sink), lie_(lie) {}
    void on_event(const pn_event& event) override {
      for (const auto& told : lie_(event)) sink_.on_event(told);
    }

   private:
    EventSink& sink_;
    const EventLie& lie_;
  };

  std::unique_ptr<Backend> inner_;
  EventLie lie_;
};

}  // namespace postern::sim::testing_support
