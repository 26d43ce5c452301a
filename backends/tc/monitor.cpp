// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/monitor.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "backends/tc/kernel_clock.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

// How long the ring stays on unless it is renewed: that many ticks, of about a second each.
constexpr std::uint32_t kTicksAhead = 4;

void store(pn_u32& word, std::uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Ends with the process.
Result<UniqueFd> lock_folder(const std::string& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("opening " + folder, errno);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail_errno("locking " + folder, errno);
  return fail(ErrorCode::invalid_input,
              "another `postern monitor` is watching this node; there is one ring, and each event goes to one of them");
}

}  // namespace

Result<std::unique_ptr<Monitor>> Monitor::start(const std::string& pin_path, std::uint32_t ifindex) {
  std::unique_ptr<Monitor> monitor(new Monitor(pin_path, ifindex));
  if (auto opened = monitor->open_tables(); !opened) return fail_as(opened);
  auto lock = lock_folder(parent_of(monitor->node_->folder()));
  if (!lock) return fail_as(lock);
  monitor->lock_ = std::move(*lock);
  if (auto dropped = monitor->poll(0, [](const pn_event&) {}); !dropped) return fail_as(dropped);
  const auto lost = monitor->count_lost();
  if (!lost) return fail_as(lost);
  monitor->lost_before_ = *lost;
  if (auto renewed = monitor->renew(); !renewed) return fail_as(renewed);
  return monitor;
}

Monitor::~Monitor() {
  if (memory_ != nullptr && lock_.valid()) store(memory_->monitor_until, 0);
  close_tables();
}

void Monitor::close_tables() {
  if (ring_ != nullptr) ring_buffer__free(ring_);
  if (memory_ != nullptr) munmap(memory_, page_size());
  ring_ = nullptr;
  memory_ = nullptr;
  node_.reset();
}

Result<void> Monitor::open_tables() {
  auto node = PinnedNode::open(pin_path_);
  if (!node) return fail_as(node);
  close_tables();
  node_ = std::make_unique<PinnedNode>(std::move(*node));
  void* memory = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, node_->map_fd("pn_node"), 0);
  if (memory == MAP_FAILED) return fail_errno("mapping pn_node into memory", errno);
  memory_ = static_cast<pn_node*>(memory);
  LibbpfLog log;
  ring_ = ring_buffer__new(node_->map_fd("pn_monitor"), &Monitor::on_sample, this, nullptr);
  if (ring_ == nullptr) return fail_errno("opening the ring pn_monitor", errno, &log);
  return {};
}

// The ring is the same in every generation, the words that switch it on are not.
Result<void> Monitor::renew() {
  const auto newest = PinnedNode::open(pin_path_);
  if (!newest) return fail_as(newest);
  if (newest->folder() != node_->folder()) {
    if (auto opened = open_tables(); !opened) return opened;
  }
  const auto now = kernel_tick_now(memory_->tick_shift);
  if (!now) return fail_as(now);
  const std::uint32_t until = *now + kTicksAhead;
  store(memory_->monitor_ifindex, ifindex_);
  store(memory_->monitor_until, until == 0 ? 1 : until);
  return {};
}

int Monitor::on_sample(void* context, void* data, std::size_t size) {
  const auto* self = static_cast<const Monitor*>(context);
  if (size >= sizeof(pn_event)) (*self->on_event_)(*static_cast<const pn_event*>(data));
  return 0;
}

Result<void> Monitor::poll(int timeout_ms, const OnEvent& on_event) {
  on_event_ = &on_event;
  const int count = ring_buffer__poll(ring_, timeout_ms);
  on_event_ = nullptr;
  if (count < 0 && count != -EINTR) return fail_errno("reading the ring pn_monitor", -count);
  return {};
}

int Monitor::event_fd() const { return ring_buffer__epoll_fd(ring_); }

Result<std::uint64_t> Monitor::count_lost() const {
  const auto counter = node_->counter(PN_COUNTER_MONITOR_LOST);
  if (!counter) return fail_as(counter);
  return counter->packets;
}

Result<std::uint64_t> Monitor::lost() const {
  const auto now = count_lost();
  if (!now) return now;
  return *now - lost_before_;
}

}  // namespace postern::tc
