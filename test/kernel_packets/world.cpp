// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_packets/world.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "backends/native/native_backend.h"
#include "test/contract/table_writer.h"
#include "test/kernel/network.h"

namespace postern::test {
namespace {

constexpr std::array<Pod, 4> kPods{Pod::both, Pod::twin, Pod::inward, Pod::free};
constexpr std::uint32_t kBody = 1, kIngressRow = 1, kEgressRow = 9;

class EventCollector : public EventSink {
 public:
  void on_event(const pn_event& event) override {
    last = event;
    last->time_ns = 0;
    last->cpu = last->sequence = 0;
  }
  std::optional<pn_event> last;
};

std::uint32_t record_of(Pod pod) { return 3 + static_cast<std::uint32_t>(pod); }
std::uint32_t isolated() { return pn_step_deny(PN_REASON_ISOLATED, 0); }
std::uint32_t allowed(std::uint32_t rule) { return pn_step_allow(PN_REASON_RULE, rule); }

// Addresses as frame_of writes them: 10.0.0.N and fd00::N.
pn_address v4(std::uint8_t number) { return pn_address_v4(0x0a000000u + number); }
pn_address v6(std::uint8_t number) { return {0xfd00000000000000ull, number}; }

// One port of a protocol is allowed: directory and page of the same number.
void write_port(TableDelta& delta, std::uint32_t index, std::uint32_t port, std::uint32_t rule) {
  pn_port_steps directory{}, page{};
  for (std::uint32_t i = 0; i < PN_PORT_STEPS; ++i) {
    directory.steps[i] = isolated();
    page.steps[i] = i == port % 256 ? allowed(rule) : isolated();
  }
  directory.steps[port / 256] = pn_step_continue(index);
  delta.writes.push_back({TableId::portdirs, index, 0, {}, bytes_of(directory)});
  delta.writes.push_back({TableId::portpages, index, 0, {}, bytes_of(page)});
}

void write_host(TableDelta& delta, const pn_node& node, const pn_address& address, std::uint32_t class_id) {
  const pn_u64 hash = pn_hash(address, node.hash_secret);
  pn_hosts_bucket bucket{};
  // 64 buckets hold six addresses one each, or the far table has to take them.
  delta.writes.push_back({TableId::hosts_far, 0, 0, bytes_of(address), bytes_of(class_id)});
  bucket.head = PN_HOSTS_SPILLED;
  delta.writes.push_back({TableId::hosts, pn_hash_bucket(hash) & node.hosts_mask, 0, {}, bytes_of(bucket.head)});
}

pn_pod pod_of(Pod pod) {
  pn_pod record{};
  record.endpoint = record_of(pod) + 4;
  record.flags = PN_POD_SPOOF_CHECK | PN_POD_EVENT_ALL;
  if (pod != Pod::inward) record.flags |= PN_POD_CT_FIRST;
  record.v4 = static_cast<pn_u32>(v4(number_of(pod)).low);
  record.v6 = v6(number_of(pod));
  record.dir[PN_INGRESS] = {kIngressRow, 3, 1, PN_DIR_JUDGED};
  if (pod != Pod::inward) record.dir[PN_EGRESS] = {kEgressRow, 3, 2, PN_DIR_JUDGED};
  return record;
}

}  // namespace

TableSizes world_sizes() {
  TableSizes sizes = small_sizes();
  sizes.entries[static_cast<std::size_t>(TableId::hosts_far)] = 16;
  return sizes;
}

TableDelta world_tables(std::uint32_t tick_shift) {
  const TableSizes sizes = world_sizes();
  pn_node node = TableWriter(sizes, tick_shift).node();
  for (auto& timeout : node.timeouts) timeout = 1u << 20;
  node.fragment_timeout = 1u << 20;
  TableDelta delta;
  delta.writes.push_back({TableId::node, 0, 0, {}, bytes_of(node)});
  write_port(delta, 1, 80, kTcpRule);
  write_port(delta, 2, 53, kUdpRule);
  write_port(delta, 3, 80, kSctpRule);
  pn_body body{};
  body.other = isolated();
  body.tcp = pn_step_continue(1);
  body.udp = pn_step_continue(2);
  body.sctp = pn_step_continue(3);
  delta.writes.push_back({TableId::bodies, kBody, 0, {}, bytes_of(body)});
  // By class: nobody's, the client's, the friend's.
  const std::array<std::uint32_t, 3> steps{isolated(), pn_step_continue(kBody), allowed(kAnyRule)};
  for (const std::uint32_t row : {kIngressRow, kEgressRow}) {
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
      delta.writes.push_back({TableId::rows, row, i * 4, {}, bytes_of(steps[i])});
    }
  }
  for (const auto& [peer, class_id] : {std::pair{Peer::client, 1u}, std::pair{Peer::friend_, 2u}}) {
    write_host(delta, node, v4(number_of(peer)), class_id);
    write_host(delta, node, v6(number_of(peer)), class_id);
  }
  for (const Pod pod : kPods) {
    delta.writes.push_back({TableId::pods, record_of(pod), 0, {}, bytes_of(pod_of(pod))});
    delta.writes.push_back({TableId::slots, interface_of(pod) & (PN_SLOTS - 1), 0, {},
                            bytes_of(pn_slot(interface_of(pod), record_of(pod), pod != Pod::free))});
  }
  return delta;
}

bool same(const Judged& a, const Judged& b) {
  return a.allow == b.allow && a.event.has_value() == b.event.has_value() &&
         (!a.event || std::memcmp(&*a.event, &*b.event, sizeof(pn_event)) == 0);
}

World::World() {
  auto native = make_native_backend(world_sizes());
  auto shipped = TcBackend::make(world_sizes(), {});
  EXPECT_TRUE(native) << native.error().to_string();
  EXPECT_TRUE(shipped) << shipped.error().to_string();
  if (!native || !shipped) return;
  native_ = std::move(*native);
  shipped_ = std::move(*shipped);
  EXPECT_TRUE(native_->apply(world_tables(native_->clock().shift)));
  EXPECT_TRUE(shipped_->apply(world_tables(shipped_->clock().shift)));
  for (const Pod pod : kPods) {
    const std::string number = std::to_string(interface_of(pod));
    if (if_nametoindex(("pn" + number).c_str()) == 0) {
      EXPECT_TRUE(make_veth("pn" + number, "px" + number, interface_of(pod)));
    }
    EXPECT_TRUE(native_->attach(interface_of(pod)));
  }
}

void World::forget() {
  EXPECT_TRUE(native_->forget_connections(EndpointId{}));
  EXPECT_TRUE(shipped_->forget_connections(EndpointId{}));
}

Judged World::native(const Shot& shot, std::span<const std::byte> frame) {
  const Classified result =
      native_->injector()->classify(interface_of(shot.pod), shot.out ? PN_EGRESS : PN_INGRESS, frame, Instant{seconds(1000).ns});
  EventCollector collector;
  EXPECT_TRUE(native_->drain_events(collector));
  return {result.allow, collector.last};
}

std::optional<Judged> World::shipped(const Shot& shot, std::span<const std::byte> frame) {
  __sk_buff context{};
  context.ifindex = interface_of(shot.pod);
  std::array<std::byte, 16384> out{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = out.size();
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  if (bpf_prog_test_run_opts(shipped_->program_fd(shot.out ? PN_EGRESS : PN_INGRESS), &options) != 0) return std::nullopt;
  const auto action = static_cast<int>(options.retval);
  EXPECT_TRUE(action == TC_ACT_UNSPEC || action == TC_ACT_SHOT) << action;
  EventCollector collector;
  EXPECT_TRUE(shipped_->drain_events(collector));
  return Judged{action == TC_ACT_UNSPEC, collector.last};
}

}  // namespace postern::test
