// SPDX-License-Identifier: Apache-2.0
// The tc backend against the real kernel: what is written is read back, programs go onto hooks and
// off again, and whoever else is on a hook stays there.
#include "backends/tc/tc_backend.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "backends/tc/kernel_clock.h"
#include "engine/base/prng.h"
#include "engine/conntrack/conntrack_view.h"
#include "test/kernel/counting_program.h"
#include "test/kernel/network.h"

namespace postern {
namespace {

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto* start = reinterpret_cast<const std::byte*>(&value);
  return {start, start + sizeof value};
}

TableWrite array_write(TableId table, std::uint32_t index, std::uint32_t offset,
                       std::vector<std::byte> bytes) {
  return {table, index, offset, {}, std::move(bytes)};
}

TableWrite hash_write(TableId table, std::uint32_t key, std::vector<std::byte> bytes) {
  return {table, 0, 0, bytes_of(key), std::move(bytes)};
}

std::unique_ptr<TcBackend> make_backend(const TcOptions& options = {}, const TableSizes& sizes = {}) {
  auto made = TcBackend::make(sizes, options);
  if (!made) ADD_FAILURE() << made.error().to_string();
  return made ? std::move(*made) : nullptr;
}

// A complete table write set, at random places.
TableDelta random_delta(Prng& random, const TableSizes& sizes, std::size_t count) {
  constexpr TableId tables[] = {TableId::slots, TableId::slots_far, TableId::pods,     TableId::hosts,
                                TableId::hosts_far, TableId::idx,   TableId::seg,      TableId::rows,
                                TableId::bodies,    TableId::portdirs, TableId::portpages};
  TableDelta delta;
  for (std::size_t n = 0; n < count; ++n) {
    const TableId table = tables[random.below(std::size(tables))];
    const TableShape shape = shape_of(table, sizes);
    TableWrite write;
    write.table = table;
    std::size_t length = shape.value_size;
    if (shape.is_hash) {
      write.key = bytes_of(random.below(64));
      write.key.resize(shape.key_size);
      if (random.below(4) == 0) length = 0;
    } else {
      write.index = static_cast<std::uint32_t>(random.below(shape.entries));
      const std::size_t unit = random.below(3) == 0 ? length : (random.below(2) == 0 ? 4 : 8);
      write.offset = static_cast<std::uint32_t>(unit * random.below(length / unit));
      length = unit;
    }
    for (std::size_t i = 0; i < length; ++i) write.bytes.push_back(static_cast<std::byte>(random.below(256)));
    delta.writes.push_back(std::move(write));
  }
  return delta;
}

TEST(TcBackendTables, HoldTheSameBytesAsTablesInMemoryAfterTheSameWrites) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng random(seed);
  auto backend = make_backend();
  ASSERT_NE(backend, nullptr);
  PolicyTables expected(backend->sizes());
  for (int round = 0; round < 3; ++round) {
    TableDelta delta = random_delta(random, backend->sizes(), 2000);
    delta.reuses_freed = round > 0;
    ASSERT_TRUE(expected.apply(delta));
    auto applied = backend->apply(delta);
    ASSERT_TRUE(applied) << applied.error().to_string();
    auto dumped = backend->dump();
    ASSERT_TRUE(dumped) << dumped.error().to_string();
    EXPECT_TRUE(*dumped == expected) << "round " << round;
  }
}

TEST(TcBackendTables, WaitForPacketsInFlightWhereTheDeltaSaysSo) {
  auto backend = make_backend();
  ASSERT_NE(backend, nullptr);
  Prng random(1);
  TableDelta delta = random_delta(random, backend->sizes(), 30);
  PolicyTables expected(backend->sizes());
  ASSERT_TRUE(expected.apply(delta));
  ASSERT_TRUE(backend->apply(delta));
  EXPECT_EQ(backend->grace_periods(), 0u);
  delta.pauses = {0, 10, 29};
  ASSERT_TRUE(backend->apply(delta));
  EXPECT_EQ(backend->grace_periods(), 3u);
  delta.reuses_freed = true;
  delta.pauses = {};
  ASSERT_TRUE(backend->apply(delta));
  EXPECT_EQ(backend->grace_periods(), 4u);
  auto dumped = backend->dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_TRUE(*dumped == expected) << "no write was lost at a pause";
}

TEST(TcBackendTables, TakeTheSizesTheyAreGiven) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::bodies)] = 5;
  sizes.entries[static_cast<std::size_t>(TableId::slots_far)] = 2;
  sizes.conntrack_buckets = 64;
  auto backend = make_backend({}, sizes);
  ASSERT_NE(backend, nullptr);
  const pn_body body{};
  EXPECT_TRUE(backend->apply({{array_write(TableId::bodies, 4, 0, bytes_of(body))}, false}));
  const auto outside = backend->apply({{array_write(TableId::bodies, 5, 0, bytes_of(body))}, false});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, ErrorCode::internal);

  const std::vector<std::byte> word = bytes_of(std::uint64_t{1});
  EXPECT_TRUE(backend->apply(
      {{hash_write(TableId::slots_far, 1, word), hash_write(TableId::slots_far, 2, word)}, false}));
  const auto full = backend->apply({{hash_write(TableId::slots_far, 3, word)}, false});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::table_full);
  EXPECT_NE(full.error().message.find("slots_far"), std::string::npos) << full.error().message;
}

TEST(TcBackendClock, AJiffyLastsAsLongAsTheCoarseClockSays) {
  const unsigned hz = tc::jiffies_per_second();
  const TickClock clock = tc::tick_clock_of(hz);
  EXPECT_EQ(clock.tick_ns, (std::int64_t{1} << clock.shift) * 1'000'000'000 / hz);
  // The kernel's own count of jiffies, read by the program that ships it to us.
  const bpf_insn program[] = {
      {0x85, 0, 0, 0, 118},  // call jiffies64
      {0x95, 0, 0, 0, 0},
  };
  const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "jiffies", "Dual BSD/GPL", program, 2, nullptr);
  ASSERT_GE(fd, 0);
  const auto read = [&] {
    std::array<std::byte, 64> frame{};
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = frame.size();
    EXPECT_EQ(bpf_prog_test_run_opts(fd, &options), 0);
    return options.retval;
  };
  const auto start = std::chrono::steady_clock::now();
  const std::uint32_t first = read();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500)) {
  }
  const std::uint32_t ticks = read() - first;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_NEAR(ticks / took.count(), hz, hz * 0.1);
  close(fd);
}

TEST(TcBackendClock, ATickIsAboutASecond) {
  for (const unsigned hz : {100u, 250u, 300u, 1000u}) {
    const TickClock clock = tc::tick_clock_of(hz);
    EXPECT_GT(clock.tick_ns, 700'000'000) << hz;
    EXPECT_LT(clock.tick_ns, 1'400'000'000) << hz;
  }
}

// ---- attachments ----

// UDP, 10.0.0.5:4000 -> 10.0.0.9:`port`. Broadcast, so that any end takes it.
std::vector<std::byte> udp_frame(std::uint16_t port) {
  std::vector<std::uint8_t> frame(14 + 20 + 8 + 4);
  std::fill(frame.begin(), frame.begin() + 6, std::uint8_t{0xff});
  const std::uint8_t header[] = {2, 0,  0,  0, 0, 1,  8, 0, 0x45, 0,  0, 32, 0, 1,  0,
                                 0, 64, 17, 0, 0, 10, 0, 0, 5,    10, 0, 0,  9, 15, 160};
  std::copy(std::begin(header), std::end(header), frame.begin() + 6);
  frame[36] = static_cast<std::uint8_t>(port >> 8);
  frame[37] = static_cast<std::uint8_t>(port & 255);
  frame[39] = 12;
  std::vector<std::byte> bytes(frame.size());
  std::memcpy(bytes.data(), frame.data(), frame.size());
  return bytes;
}

std::size_t arrivals(const test::FrameSocket& socket, const std::vector<std::byte>& frame, int wait_ms) {
  const auto frames = socket.receive(wait_ms);
  return static_cast<std::size_t>(std::count_if(frames.begin(), frames.end(), [&](const auto& got) {
    return got.size() >= frame.size() && std::equal(frame.begin(), frame.end(), got.begin());
  }));
}

// A pod record whose only row says `step` to everyone, in both directions.
TableDelta one_answer(const TableSizes& sizes, std::uint32_t ifindex, std::uint32_t step) {
  pn_node node{};
  node.hosts_mask = sizes.of(TableId::hosts) - 1;
  node.ct_mask = sizes.conntrack_buckets - 1;
  node.tick_shift = tc::kernel_tick_clock().shift;
  for (auto& timeout : node.timeouts) timeout = 60;
  pn_row_chunk row{};
  for (auto& one : row.steps) one = step;
  pn_pod pod{};
  pod.endpoint = 7;
  pod.flags = PN_POD_CT_FIRST | PN_POD_EVENT_DENY;
  pod.v4 = 0x0a000009;
  for (auto& direction : pod.dir) direction = {1, PN_ROW_CHUNK, 1, PN_DIR_JUDGED};
  return {{array_write(TableId::node, 0, 0, bytes_of(node)), array_write(TableId::rows, 1, 0, bytes_of(row)),
           array_write(TableId::pods, 1, 0, bytes_of(pod)),
           array_write(TableId::slots, ifindex & 0xffff, 0, bytes_of(pn_slot(ifindex, 1, 1)))},
          false};
}

class TcBackendAttach : public testing::TestWithParam<bool> {  // true: clsact by force
 protected:
  void SetUp() override {
    TcOptions options;
    options.force_clsact = GetParam();
    backend_ = make_backend(options);
    ASSERT_NE(backend_, nullptr);
    auto made = test::make_veth("host", "pod");
    ASSERT_TRUE(made) << made.error().to_string();
    ifindex_ = *made;
    host_ = std::make_unique<test::FrameSocket>("host");
    pod_ = std::make_unique<test::FrameSocket>("pod");
  }
  void TearDown() override {
    backend_.reset();
    EXPECT_TRUE(test::delete_link(ifindex_));
  }
  void answer(std::uint32_t step) {
    auto applied = backend_->apply(one_answer(backend_->sizes(), ifindex_, step));
    ASSERT_TRUE(applied) << applied.error().to_string();
  }
  void attach() {
    auto attached = backend_->attach(ifindex_);
    ASSERT_TRUE(attached) << attached.error().to_string();
  }
  // Whether a fresh flow reaches the pod.
  bool reaches_pod(bool expected) {
    const auto frame = udp_frame(next_port_++);
    EXPECT_TRUE(host_->send(frame) || !expected);  // a drop on the way out is the sender's error
    return arrivals(*pod_, frame, expected ? 2000 : 100) == 1;
  }

  std::unique_ptr<TcBackend> backend_;
  std::uint32_t ifindex_ = 0;
  std::unique_ptr<test::FrameSocket> host_, pod_;
  std::uint16_t next_port_ = 1000;
};

constexpr std::uint32_t kAllow = PN_STEP_ALLOW | (PN_REASON_RULE << PN_STEP_REASON_SHIFT) | 3;
constexpr std::uint32_t kDeny = PN_REASON_ISOLATED << PN_STEP_REASON_SHIFT;

TEST_P(TcBackendAttach, JudgesWhileAttachedAndNotBeforeOrAfter) {
  answer(kDeny);
  EXPECT_TRUE(reaches_pod(true)) << "not attached yet";
  attach();
  EXPECT_FALSE(reaches_pod(false));
  attach();
  EXPECT_FALSE(reaches_pod(false)) << "attached twice";
  ASSERT_TRUE(backend_->detach(ifindex_));
  EXPECT_TRUE(reaches_pod(true)) << "detached";
  ASSERT_TRUE(backend_->detach(ifindex_)) << "detaching twice is no error";
  answer(kAllow);
  attach();
  EXPECT_TRUE(reaches_pod(true)) << "allowed";
}

TEST_P(TcBackendAttach, OtherProgramsStayAndRunAfterAnAllow) {
  test::CountingProgram other(backend_->attach_kind() == tc::AttachKind::tcx);
  other.attach(ifindex_, false);
  answer(kAllow);
  attach();
  const std::uint64_t before = other.seen();
  EXPECT_TRUE(reaches_pod(true));
  EXPECT_EQ(other.seen(), before + 1) << "runs after an allow";
  answer(kDeny);
  EXPECT_FALSE(reaches_pod(false));
  EXPECT_EQ(other.seen(), before + 1) << "ours goes first: a denied packet goes no further";
  ASSERT_TRUE(backend_->detach(ifindex_));
  EXPECT_TRUE(reaches_pod(true));
  EXPECT_EQ(other.seen(), before + 2) << "still there when ours is gone";
}

TEST_P(TcBackendAttach, CountsAndReportsWhatItDrops) {
  struct Sink final : EventSink {
    void on_event(const pn_event& event) override { events.push_back(event); }
    std::vector<pn_event> events;
  } sink;
  answer(kDeny);
  attach();
  auto none = backend_->drain_events(sink);
  ASSERT_TRUE(none);
  const auto before = backend_->counters();
  ASSERT_TRUE(before);
  EXPECT_FALSE(reaches_pod(false));
  auto count = backend_->drain_events(sink);
  ASSERT_TRUE(count) << count.error().to_string();
  const auto found = std::find_if(sink.events.begin(), sink.events.end(), [&](const pn_event& event) {
    return event.protocol == 17 && event.destination_port == next_port_ - 1;
  });
  ASSERT_NE(found, sink.events.end()) << sink.events.size() << " events";
  EXPECT_EQ(found->step, kDeny);
  EXPECT_EQ(found->ifindex, ifindex_);
  EXPECT_EQ(found->endpoint, 7u);
  EXPECT_EQ(found->direction, PN_INGRESS);
  const auto after = backend_->counters();
  ASSERT_TRUE(after);
  const std::size_t denied = pn_counter_index(PN_INGRESS, PN_REASON_ISOLATED);
  EXPECT_GT((*after)[denied].packets, (*before)[denied].packets);
}

// The tick of user space is that of the packets, so a monitor that is on for two ticks sees the next one.
TEST_P(TcBackendAttach, AMonitorByTheKernelsTickSeesWhatIsAllowedToo) {
  struct Sink final : EventSink {
    void on_event(const pn_event& event) override { ports.push_back(event.destination_port); }
    std::vector<std::uint16_t> ports;
  } sink;
  answer(kAllow);
  attach();
  ASSERT_TRUE(reaches_pod(true));
  const auto now = tc::kernel_tick_now(backend_->clock().shift);
  ASSERT_TRUE(now) << now.error().to_string();
  for (const std::uint32_t until : {*now + 3, *now}) {
    ASSERT_TRUE(backend_->apply(
        {{array_write(TableId::node, 0, offsetof(pn_node, monitor_until), bytes_of(until))}, false}));
    ASSERT_TRUE(reaches_pod(true));
  }
  ASSERT_TRUE(backend_->drain_monitor(sink));
  const auto seen = [&](std::uint16_t port) { return std::count(sink.ports.begin(), sink.ports.end(), port); };
  EXPECT_EQ(seen(next_port_ - 3), 0) << "before";
  EXPECT_EQ(seen(next_port_ - 2), 1) << "while it was on";
  EXPECT_EQ(seen(next_port_ - 1), 0) << "after";
}

TEST_P(TcBackendAttach, AnInterfaceThatIsNotThereIsNotFound) {
  const auto attached = backend_->attach(4'000'000);
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ErrorCode::not_found) << attached.error().to_string();
}

TEST_P(TcBackendAttach, AnIndexThatComesBackWithAnotherInterfaceIsAttachedAgain) {
  answer(kDeny);
  attach();
  ASSERT_TRUE(test::delete_link(ifindex_));
  auto again = test::make_veth("host", "pod", ifindex_);
  ASSERT_TRUE(again) << again.error().to_string();
  host_ = std::make_unique<test::FrameSocket>("host");
  pod_ = std::make_unique<test::FrameSocket>("pod");
  EXPECT_TRUE(reaches_pod(true)) << "the new interface has no program";
  attach();
  EXPECT_FALSE(reaches_pod(false));
}

INSTANTIATE_TEST_SUITE_P(, TcBackendAttach, testing::Values(false, true),
                         [](const auto& way) { return way.param ? "clsact" : "best"; });

// ---- connections ----

// Puts connections into the kernel's map, one for each endpoint of 1..3 in each of `buckets`.
void fill(const TcBackend& backend, std::uint32_t buckets) {
  for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) {
    pn_ct_bucket value{};
    for (std::uint32_t way = 0; way < 3; ++way) {
      value.fingerprints[way] = static_cast<pn_u16>(way + 1);
      value.ways[way].key.address_a = pn_address_v4(bucket + 1);
      value.ways[way].key.endpoint_protocol = (way + 1) << 8 | 6;
      value.ways[way].value = {1, 1000, PN_CT_LIVE, kAllow};
    }
    ASSERT_EQ(bpf_map_update_elem(backend.map_fd("pn_ct"), &bucket, &value, BPF_F_LOCK), 0);
  }
}

TEST(TcBackendConnections, AreReadForgottenByEndpointAgedAndCleared) {
  auto backend = make_backend();
  ASSERT_NE(backend, nullptr);
  constexpr std::uint32_t kBuckets = 5000;
  fill(*backend, kBuckets);
  auto all = backend->conntrack();
  ASSERT_TRUE(all) << all.error().to_string();
  EXPECT_EQ(all->size(), 3 * kBuckets);

  ASSERT_TRUE(backend->forget_connections(EndpointId{2}));
  all = backend->conntrack();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 2 * kBuckets);
  for (const ConntrackEntry& entry : *all) EXPECT_NE(entry.key.endpoint_protocol >> 8, 2u);

  ASSERT_TRUE(backend->age_connections(seconds(100)));
  all = backend->conntrack();
  ASSERT_TRUE(all);
  const std::uint32_t ticks = ticks_of(seconds(100), backend->clock().tick_ns);
  ASSERT_EQ(all->size(), 2 * kBuckets);
  for (const ConntrackEntry& entry : *all) EXPECT_EQ(entry.value.seen, 1000 - ticks);

  ASSERT_TRUE(backend->forget_connections(EndpointId{}));
  all = backend->conntrack();
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->empty());
}

TEST(TcBackendErrors, AnObjectFileThatIsNotThereIsNamed) {
  TcOptions options;
  options.object_path = "/nonexistent/postern.bpf.o";
  const auto made = TcBackend::make({}, options);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("/nonexistent/postern.bpf.o"), std::string::npos)
      << made.error().message;
}

}  // namespace
}  // namespace postern
