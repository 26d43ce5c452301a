// SPDX-License-Identifier: Apache-2.0
// The backend that enforces in the kernel: loads the BPF object, keeps its tables, puts its two
// programs on the hooks of pod interfaces, in the network namespace that is current at the call.
//
// Without a pin path everything is held by descriptors of this process: when it ends, however it ends,
// the kernel takes TCX attachments, programs and maps away. With one, everything outlives it, and the
// next process inherits (pin_store.h): its own tables begin empty, aside; it goes on with the pinned
// connections, counters and events; and the first attach() pins its generation whole and switches
// hook by hook. When no interface is left to the generation before, that one is removed.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/tc/amazon_takeover.h"
#include "backends/tc/attachment.h"
#include "backends/tc/conntrack_table.h"
#include "backends/tc/kernel_tables.h"
#include "backends/tc/node_conntrack.h"
#include "backends/tc/pin_store.h"
#include "engine/enforce/backend.h"

struct bpf_object;
struct ring_buffer;

namespace postern {

struct TcOptions {
  std::string object_path;         // load this file instead of the embedded object (mutation testing)
  std::string object_bytes;        // or these bytes (test variants); the path wins
  bool force_clsact = false;       // even where the kernel has TCX
  std::string sweep_bytes;         // instead of the embedded sweep object (test variants)
  std::optional<TickClock> clock;  // of an object whose clock is not jiffies64 (test variants)
  std::string pin_path;            // a folder of a BPF file system; empty: nothing outlives the process
  // Where the Amazon agent's pins are, which each attach() takes over (amazon_takeover.h); empty: no.
  std::string amazon_folder;
};

class TcBackend final : public Backend {
 public:
  // Errors: permission (names what is missing), unsupported, io; the verifier's last words included;
  // those of PinStore::open. Then everything that an earlier process left in force stays so.
  static Result<std::unique_ptr<TcBackend>> make(const TableSizes& sizes, const TcOptions& options = {});
  ~TcBackend() override;

  [[nodiscard]] std::string_view name() const override { return "tc"; }
  [[nodiscard]] TickClock clock() const override { return clock_; }
  // As asked for, but for the number of connections: a pinned table of them keeps its size.
  [[nodiscard]] const TableSizes& sizes() const override { return sizes_; }
  Result<void> apply(const TableDelta& delta) override;
  Result<PolicyTables> dump() const override;
  Result<void> attach(std::uint32_t ifindex) override;
  Result<void> detach(std::uint32_t ifindex) override;
  [[nodiscard]] const Inheritance& inheritance() const override { return inheritance_; }
  std::vector<std::string> take_notes() override;
  Result<std::vector<ConntrackEntry>> conntrack() const override;
  Result<void> forget_connections(EndpointId endpoint) override;
  Result<void> age_connections(Duration by) override;
  [[nodiscard]] ConnectionTable* connection_table() override { return &connections_; }
  [[nodiscard]] NodeConnections* node_connections() override { return &node_conntrack_; }
  Result<std::vector<pn_counter>> counters() const override;
  Result<std::size_t> drain_events(EventSink& sink) override;
  [[nodiscard]] int event_fd() const override;
  Result<std::size_t> drain_monitor(EventSink& sink) override;
  [[nodiscard]] PacketInjector* injector() override { return nullptr; }

  // For tests and benchmarks: the program of a direction (the pod's), and a map by its name; -1: none.
  [[nodiscard]] int program_fd(std::uint8_t direction) const { return programs_[direction]; }
  [[nodiscard]] int map_fd(const char* map_name) const;
  [[nodiscard]] tc::AttachKind attach_kind() const { return attach_kind_; }

  // How often apply() has waited until no running program could still read what was there before.
  [[nodiscard]] std::uint64_t grace_periods() const { return grace_periods_; }

 private:
  struct Hooks {
    tc::PinnedHooks attachments;
    bool inherited = false;  // some hook does not run this backend's programs yet
    bool alone = false;      // the Amazon agent's filters are off, if they are to be
    [[nodiscard]] bool alive() const;
  };

  TcBackend() = default;
  Result<void> load(const TcOptions& options);
  Result<void> open_pins(const TcOptions& options);
  Result<void> size_connections();
  Result<void> size_fragments();
  Result<void> inherit();
  Result<void> publish();
  Result<void> occupy(const tc::HookPlace& place, std::vector<std::unique_ptr<tc::Attachment>>& attachments);
  Result<void> take_off(std::map<std::uint32_t, Hooks>::iterator hooks);
  Result<void> retire_when_settled();
  Result<void> take_over_from_amazon(std::uint32_t ifindex);
  [[nodiscard]] int program_on(tc::Hook hook) const;
  Result<ring_buffer*> open_ring(const char* map_name);
  Result<std::size_t> drain(ring_buffer* ring, EventSink& sink);
  Result<void> wait_for_readers();
  static int on_sample(void* context, void* data, std::size_t size);

  TableSizes sizes_;
  TickClock clock_;
  bpf_object* object_ = nullptr;
  tc::KernelTables tables_;
  tc::ConntrackTable connections_;
  tc::NodeConntrack node_conntrack_;
  std::array<int, 2> programs_{-1, -1};  // by direction of the pod
  int counters_fd_ = -1;
  std::uint64_t grace_periods_ = 0;
  ring_buffer* events_ = nullptr;
  ring_buffer* monitor_ = nullptr;  // from the first drain_monitor() on
  EventSink* sink_ = nullptr;  // while events are drained
  int grace_outer_ = -1;       // array of one map: replacing its element waits for running programs
  int grace_inner_ = -1;
  tc::AttachKind attach_kind_ = tc::AttachKind::clsact;
  std::unique_ptr<tc::PinStore> pins_;  // none: nothing is pinned
  bool published_ = false;              // this generation is pinned
  bool retired_ = false;                // and no other is left
  std::string amazon_folder_;
  std::optional<tc::AmazonTakeover> amazon_;  // from the first attach() on, if wanted
  Inheritance inheritance_;
  std::vector<std::string> notes_;
  std::map<std::uint32_t, Hooks> hooks_;  // by ifindex
};

// As TcBackend::make, for the registry.
Result<std::unique_ptr<Backend>> make_tc_backend(const TableSizes& sizes, const TcOptions& options = {});

}  // namespace postern
