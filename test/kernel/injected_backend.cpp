// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/injected_backend.h"

#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <postern_tc_injected.skel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include "backends/tc/tc_backend.h"
#include "test/kernel/blank_maps.h"
#include "test/kernel/injected.h"
#include "test/kernel/network.h"

namespace postern::test {
namespace {

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// The programs in the kernel, and the memory that they share with the test.
struct Loaded {
  std::unique_ptr<TcBackend> backend;
  volatile pn_injection* injection = nullptr;

  Loaded() = default;
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    if (injection != nullptr) munmap(const_cast<pn_injection*>(injection), page_size());
  }
};

// What the last user of make_injected_tc_backend_used_again() left, with nothing in its maps.
std::unique_ptr<Loaded>& spare() {
  static std::unique_ptr<Loaded> kept;
  return kept;
}

class InjectedBackend final : public Backend, public PacketInjector {
 public:
  InjectedBackend(std::unique_ptr<Loaded> loaded, bool is_used_again)
      : loaded_(std::move(loaded)),
        inner_(loaded_->backend.get()),
        injection_(loaded_->injection),
        is_used_again_(is_used_again) {}
  ~InjectedBackend() override {
    if (is_used_again_ && blank()) spare() = std::move(loaded_);
  }

  [[nodiscard]] std::string_view name() const override { return "tc"; }
  [[nodiscard]] TickClock clock() const override { return inner_->clock(); }
  [[nodiscard]] const TableSizes& sizes() const override { return inner_->sizes(); }
  Result<void> apply(const TableDelta& delta) override { return inner_->apply(delta); }
  Result<PolicyTables> dump() const override { return inner_->dump(); }
  Result<void> attach(std::uint32_t ifindex) override {
    if (!ensure_interface(ifindex)) return fail(ErrorCode::io, "no interface for the test");
    attached_.insert(ifindex);
    return inner_->attach(ifindex);
  }
  Result<void> detach(std::uint32_t ifindex) override {
    attached_.erase(ifindex);
    return inner_->detach(ifindex);
  }
  [[nodiscard]] const Inheritance& inheritance() const override { return inner_->inheritance(); }
  std::vector<std::string> take_notes() override { return inner_->take_notes(); }
  Result<std::vector<ConntrackEntry>> conntrack() const override { return inner_->conntrack(); }
  Result<void> forget_connections(EndpointId endpoint) override {
    return inner_->forget_connections(endpoint);
  }
  Result<void> age_connections(Duration by) override { return inner_->age_connections(by); }
  Result<std::vector<pn_counter>> counters() const override { return inner_->counters(); }
  Result<std::size_t> drain_events(EventSink& sink) override { return inner_->drain_events(sink); }
  Result<std::size_t> drain_monitor(EventSink& sink) override { return inner_->drain_monitor(sink); }
  [[nodiscard]] int event_fd() const override { return inner_->event_fd(); }
  [[nodiscard]] PacketInjector* injector() override { return this; }

  Classified classify(std::uint32_t ifindex, std::uint8_t direction, std::span<const std::byte> frame,
                      Instant now) override {
    if (attached_.count(ifindex) == 0) return {.allow = true, .step = 0};  // there is no program to run
    if (!ensure_interface(ifindex)) abort_with("cannot make the interface", ENODEV);
    injection_->clock = static_cast<pn_u64>(now.ns);
    injection_->step = 0;
    __sk_buff context{};
    context.ifindex = ifindex;
    std::array<std::byte, 16384> out{};
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = out.size();
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    if (bpf_prog_test_run_opts(inner_->program_fd(direction), &options) != 0) {
      abort_with("BPF_PROG_TEST_RUN of a frame of " + std::to_string(frame.size()) + " bytes", errno);
    }
    const auto action = static_cast<int>(options.retval);
    if (action != TC_ACT_UNSPEC && action != TC_ACT_SHOT) {
      abort_with("the program returned " + std::to_string(action) + ", neither -1 nor 2", 0);
    }
    if (frame.size() != options.data_size_out || std::memcmp(frame.data(), out.data(), frame.size()) != 0) {
      abort_with("the program changed the frame", 0);
    }
    const std::uint32_t step = injection_->step;
    return {action == TC_ACT_UNSPEC, step == PN_STEP_ALLOW ? 0 : step};  // allow without a reason: not judged
  }

 private:
  // A test without an answer is a test that failed.
  [[noreturn]] static void abort_with(const std::string& what, int error) {
    std::fprintf(stderr, "injector: %s: %s\n", what.c_str(), std::strerror(error));
    std::abort();
  }

  // Nothing attached, nothing in any map: what cannot be made so is not used again.
  bool blank() {
    struct : EventSink {
      void on_event(const pn_event& /*event*/) override {}
    } nobody;
    for (const std::uint32_t ifindex : attached_) {
      if (!inner_->detach(ifindex)) return false;
    }
    return inner_->drain_events(nobody) && inner_->drain_monitor(nobody) &&
           blank_maps_of(inner_->program_fd(PN_INGRESS)) && blank_maps_of(inner_->program_fd(PN_EGRESS));
  }

  static bool ensure_interface(std::uint32_t ifindex) {
    std::array<char, IF_NAMESIZE> name{};
    if (if_indextoname(ifindex, name.data()) != nullptr) return true;
    const std::string number = std::to_string(ifindex);
    return make_veth("pn" + number, "px" + number, ifindex).has_value();
  }

  std::unique_ptr<Loaded> loaded_;
  TcBackend* inner_;
  volatile pn_injection* injection_;
  bool is_used_again_;
  std::set<std::uint32_t> attached_;  // by ifindex
};

Result<std::unique_ptr<Loaded>> load(const TableSizes& sizes) {
  TcOptions options;
  std::size_t size = 0;
  const void* bytes = postern_tc_injected__elf_bytes(&size);
  options.clock = TickClock{};  // the injected clock counts nanoseconds
  options.object_bytes.assign(static_cast<const char*>(bytes), size);
  auto made = TcBackend::make(sizes, options);
  if (!made) return fail_as(made);
  auto loaded = std::make_unique<Loaded>();
  loaded->backend = std::move(*made);
  void* memory = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                      loaded->backend->map_fd("pn_injection"), 0);
  if (memory == MAP_FAILED)
    return fail(ErrorCode::io, std::string("mapping pn_injection: ") + std::strerror(errno));
  loaded->injection = static_cast<volatile pn_injection*>(memory);
  return loaded;
}

}  // namespace

Result<std::unique_ptr<Backend>> make_injected_tc_backend(const TableSizes& sizes) {
  auto loaded = load(sizes);
  if (!loaded) return fail_as(loaded);
  return std::unique_ptr<Backend>(std::make_unique<InjectedBackend>(std::move(*loaded), false));
}

Result<std::unique_ptr<Backend>> make_injected_tc_backend_used_again(const TableSizes& sizes) {
  std::unique_ptr<Loaded> loaded = std::move(spare());
  if (loaded == nullptr || !(loaded->backend->sizes() == sizes)) {
    auto fresh = load(sizes);
    if (!fresh) return fail_as(fresh);
    loaded = std::move(*fresh);
  }
  return std::unique_ptr<Backend>(std::make_unique<InjectedBackend>(std::move(loaded), true));
}

}  // namespace postern::test
