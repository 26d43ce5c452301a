// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/inherit.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "backends/tc/libbpf_log.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern::tc {
namespace {

// Errors: not_found, there is no such element.
template <typename Key, typename Value>
Result<Value> look_up(const UniqueFd& map, const Key& key, const char* what) {
  Value value{};
  if (bpf_map_lookup_elem(map.get(), &key, &value) == 0) return value;
  if (errno == ENOENT) return fail(ErrorCode::not_found, std::string(what) + ": no such element");
  return fail_errno(std::string("reading a pinned map of ") + what, errno);
}

Result<pn_node> node_of(const PinnedGeneration& generation) {
  return look_up<std::uint32_t, pn_node>(generation.node, 0, "pn_node");
}

// As the datapath finds it: 0 when the interface has no slot.
Result<pn_u64> slot_of(const PinnedGeneration& generation, std::uint32_t ifindex) {
  auto slot = look_up<std::uint32_t, pn_u64>(generation.slots, ifindex & (PN_SLOTS - 1), "pn_slots");
  if (!slot || pn_slot_ifindex(*slot) == ifindex) return slot;
  slot = look_up<std::uint32_t, pn_u64>(generation.slots_far, ifindex, "pn_slots_far");
  if (!slot && slot.error().code == ErrorCode::not_found) return pn_u64{0};
  return slot;
}

InheritedInterface interface_of(std::uint32_t ifindex, const pn_pod& pod) {
  InheritedInterface found;
  found.ifindex = ifindex;
  found.endpoint = EndpointId{pod.endpoint};
  if (pod.v4 != 0) found.addresses.push_back(IpAddress::v4(pod.v4));
  if ((pod.v6.high | pod.v6.low) != 0) found.addresses.push_back(address_of(pod.v6));
  for (std::size_t i = 0; i < found.judged.size(); ++i) {
    found.judged[i] = (pod.dir[i].flags & PN_DIR_JUDGED) != 0;
  }
  return found;
}

// In the newest tables that know the interface.
Result<InheritedInterface> find_interface(std::span<const PinnedGeneration> generations,
                                          std::uint32_t ifindex) {
  InheritedInterface unknown;
  unknown.ifindex = ifindex;
  for (const PinnedGeneration& generation : generations) {
    const auto slot = slot_of(generation, ifindex);
    if (!slot) return fail_as(slot);
    if (*slot == 0) continue;
    if ((*slot & PN_SLOT_JUDGE) == 0) return unknown;
    const auto pod =
        look_up<std::uint32_t, pn_pod>(generation.pods, pn_slot_record(*slot), "pn_pods");
    if (pod) return interface_of(ifindex, *pod);
    if (pod.error().code != ErrorCode::not_found) return fail_as(pod);
  }
  return unknown;
}

}  // namespace

Result<std::uint32_t> tick_shift_of(const PinnedGeneration& generation) {
  const auto node = node_of(generation);
  if (!node) return fail_as(node);
  return node->tick_shift;
}

Result<Inheritance> read_inheritance(std::span<const PinnedGeneration> generations,
                                     std::span<const std::uint32_t> ifindexes) {
  Inheritance inherited;
  inherited.connections = !generations.empty();
  for (const PinnedGeneration& generation : generations) {
    const auto node = node_of(generation);
    if (!node) return fail_as(node);
    if (&generation == &generations.front()) inherited.hash_secret = node->hash_secret;
    inherited.epoch = std::max(inherited.epoch, node->epoch);
    inherited.last_rule = std::max(inherited.last_rule, RuleId{node->last_rule});
  }
  for (const std::uint32_t ifindex : ifindexes) {
    auto interface = find_interface(generations, ifindex);
    if (!interface) return fail_as(interface);
    inherited.last_endpoint = std::max(inherited.last_endpoint, interface->endpoint);
    inherited.interfaces.push_back(std::move(*interface));
  }
  return inherited;
}

}  // namespace postern::tc
