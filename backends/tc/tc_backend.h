// SPDX-License-Identifier: Apache-2.0
// The backend that enforces in the kernel: loads the BPF object, keeps its tables, puts its two
// programs on the hooks of pod interfaces. Everything is held by descriptors of this process and
// acts in the network namespace that is current at the call; when the process ends, however it ends,
// the kernel takes TCX attachments, programs and maps away. Pinning belongs to the agent.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/tc/attachment.h"
#include "backends/tc/conntrack_table.h"
#include "backends/tc/kernel_tables.h"
#include "engine/enforce/backend.h"

struct bpf_object;
struct ring_buffer;

namespace postern {

struct TcOptions {
  std::string object_path;         // load this file instead of the embedded object (mutation testing)
  std::string object_bytes;        // or these bytes (test variants); the path wins
  bool force_clsact = false;       // even where the kernel has TCX
  std::optional<TickClock> clock;  // of an object whose clock is not jiffies64 (test variants)
};

class TcBackend final : public Backend {
 public:
  // Errors: permission (names what is missing), unsupported, io; the verifier's last words included.
  static Result<std::unique_ptr<TcBackend>> make(const TableSizes& sizes, const TcOptions& options = {});
  ~TcBackend() override;

  [[nodiscard]] std::string_view name() const override { return "tc"; }
  [[nodiscard]] TickClock clock() const override { return clock_; }
  [[nodiscard]] const TableSizes& sizes() const override { return sizes_; }
  Result<void> apply(const TableDelta& delta) override;
  Result<PolicyTables> dump() const override;
  Result<void> attach(std::uint32_t ifindex) override;
  Result<void> detach(std::uint32_t ifindex) override;
  Result<std::vector<ConntrackEntry>> conntrack() const override;
  Result<void> forget_connections(EndpointId endpoint) override;
  Result<void> age_connections(Duration by) override;
  Result<std::vector<pn_counter>> counters() const override;
  Result<std::size_t> drain_events(EventSink& sink) override;
  [[nodiscard]] int event_fd() const override;
  [[nodiscard]] PacketInjector* injector() override { return nullptr; }

  // For tests and benchmarks: the program of a direction (the pod's), and a map by its name; -1: none.
  [[nodiscard]] int program_fd(std::uint8_t direction) const { return programs_[direction]; }
  [[nodiscard]] int map_fd(const char* map_name) const;
  [[nodiscard]] tc::AttachKind attach_kind() const { return attach_kind_; }

  // How often apply() has waited until no running program could still read what was there before.
  [[nodiscard]] std::uint64_t grace_periods() const { return grace_periods_; }

 private:
  struct Hooks {
    std::unique_ptr<tc::Attachment> ingress;
    std::unique_ptr<tc::Attachment> egress;
  };

  TcBackend() = default;
  Result<void> load(const TcOptions& options);
  Result<void> open_events();
  Result<void> wait_for_readers();
  static int on_sample(void* context, void* data, std::size_t size);

  TableSizes sizes_;
  TickClock clock_;
  bpf_object* object_ = nullptr;
  tc::KernelTables tables_;
  tc::ConntrackTable connections_;
  std::array<int, 2> programs_{-1, -1};  // by direction of the pod
  int counters_fd_ = -1;
  std::uint64_t grace_periods_ = 0;
  ring_buffer* events_ = nullptr;
  EventSink* sink_ = nullptr;  // while events are drained
  int grace_outer_ = -1;       // array of one map: replacing its element waits for running programs
  int grace_inner_ = -1;
  tc::AttachKind attach_kind_ = tc::AttachKind::clsact;
  std::map<std::uint32_t, Hooks> hooks_;  // by ifindex
};

// As TcBackend::make, for the registry.
Result<std::unique_ptr<Backend>> make_tc_backend(const TableSizes& sizes, const TcOptions& options = {});

}  // namespace postern
