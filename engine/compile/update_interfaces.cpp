// SPDX-License-Identifier: Apache-2.0
// Slots and pod records. A record is a body: every change writes a new one aside, and the slot word
// switches to it.
#include <cstring>

#include "engine/compile/update.h"

namespace postern {

namespace {

std::uint64_t slot_word(std::uint32_t ifindex, const Interface& interface) {
  return pn_slot(ifindex, interface.judged ? interface.record_index : 0, interface.judged ? 1 : 0);
}

std::uint32_t pod_flags(const CompileSettings& settings, bool connections_first) {
  std::uint32_t flags = 0;
  if (settings.spoof_check) flags |= PN_POD_SPOOF_CHECK;
  switch (settings.events) {
    case EventMode::off:
      break;
    case EventMode::denied:
      flags |= PN_POD_EVENT_DENY;
      break;
    case EventMode::new_flows:
      flags |= PN_POD_EVENT_DENY | PN_POD_EVENT_NEW | PN_POD_CT_FIRST;
      break;
    case EventMode::all:
      flags |= PN_POD_EVENT_ALL;
      break;
  }
  if (settings.established_flows == EstablishedFlows::keep) flags |= PN_POD_KEEP | PN_POD_CT_FIRST;
  if (connections_first) flags |= PN_POD_CT_FIRST;
  return flags;
}

// Whether two records say the same, wherever their rows stand.
bool same_meaning(pn_pod a, pn_pod b) {
  for (auto* pod : {&a, &b}) {
    for (auto& direction : pod->dir) direction.row = direction.row_len = 0;
  }
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

}  // namespace

void Update::remove_interfaces() {
  std::vector<std::uint32_t> moved_from_far;
  for (const auto& [ifindex, interface] : before_.interfaces) {
    if (wanted_.contains(ifindex)) continue;
    if (interface.judged) after_.records.give_back(interface.record_index, 1);
    after_.interfaces.erase(ifindex);
    if (interface.far) {
      gone_.erase(TableId::slots_far, ifindex);
      --far_slots_;
      continue;
    }
    const std::uint32_t slot = ifindex % PN_SLOTS;
    after_.slot_owners.erase(slot);
    // An empty slot must not hide others in slots_far: one of them takes its place.
    std::uint32_t heir = 0;
    for (const auto& [other, state] : after_.interfaces) {
      if (state.far && other % PN_SLOTS == slot && wanted_.contains(other)) {
        heir = other;
        break;
      }
    }
    if (heir == 0) {
      gone_.store(TableId::slots, slot, pn_u64{0});
      continue;
    }
    Interface& moved = after_.interfaces.at(heir);
    moved.far = false;
    after_.slot_owners[slot] = heir;
    gone_.store(TableId::slots, slot, slot_word(heir, moved));
    moved_from_far.push_back(heir);
    --far_slots_;
  }
  if (moved_from_far.empty()) return;
  // A packet may have read the slot while it was another's, and look into slots_far only now.
  gone_.pause();
  for (const std::uint32_t ifindex : moved_from_far) gone_.erase(TableId::slots_far, ifindex);
}

// Both directions are judged; or one is in audit, where an answer must be known for one whatever policy says of
// it: nothing may be told of what would be denied that would pass as an answer.
bool Update::asks_connections_first(const Wanted& wanted) {
  const auto& [ingress, egress] = wanted.contents;
  const auto audited = [](const auto& content) { return content && rules_of(*content).enforced != nullptr; };
  return (ingress && egress) || audited(ingress) || audited(egress);
}

pn_pod Update::record_of(const Wanted& wanted) const {
  const EndpointPolicy& endpoint = *wanted.endpoint;
  pn_pod record{};
  record.endpoint = endpoint.endpoint.value;
  record.flags = pod_flags(input_.settings, asks_connections_first(wanted));
  const auto grace = input_.settings.grace_until.find(endpoint.endpoint);
  if (grace != input_.settings.grace_until.end()) record.grace_until = grace->second;
  for (const auto& address : endpoint.addresses) {
    if (address.is_v4()) {
      record.v4 = address.v4_host_order();
    } else {
      record.v6 = to_abi(number_of(address));
    }
  }
  for (std::size_t i = 0; i < wanted.contents.size(); ++i) {
    if (!wanted.contents[i]) continue;
    const Row& row = after_.rows.at(wanted.contents[i]->id);
    record.dir[i].row = row.chunk;
    record.dir[i].row_len = static_cast<std::uint32_t>(row.steps->size());
    record.dir[i].content = row.content->id;
    record.dir[i].flags = PN_DIR_JUDGED | (after_.blocks ? std::uint32_t{PN_DIR_BLOCKS} : 0u);
    if (!endpoint.directions[i].decides()) record.dir[i].flags |= PN_DIR_AUDIT;
  }
  return record;
}

// The same rows at their new places: no verdict changes, but only packets that read the new record
// may meet the classes that the old rows have no column for.
void Update::switch_to_longer_rows() {
  for (auto& [ifindex, interface] : after_.interfaces) {
    if (!interface.judged) continue;
    for (std::size_t i = 0; i < interface.contents.size(); ++i) {
      if (interface.contents[i] == kNoContent) continue;
      const Row& row = old_rows_.at(interface.contents[i]);
      interface.record.dir[i].row = row.chunk;
      interface.record.dir[i].row_len = static_cast<std::uint32_t>(row.steps->size());
    }
    replace_record(ifindex, interface);
  }
  out_.pause();
}

// Writes interface.record aside and switches to it.
void Update::replace_record(std::uint32_t ifindex, Interface& interface) {
  if (interface.judged && interface.record_index != 0) after_.records.give_back(interface.record_index, 1);
  interface.judged = true;
  interface.record_index = after_.records.take(1);
  if (after_.records.overflowed()) return;  // the update is refused
  out_.store(TableId::pods, interface.record_index, interface.record);
  store_slot(ifindex, interface);
}

void Update::store_slot(std::uint32_t ifindex, const Interface& interface) {
  const std::uint64_t word = slot_word(ifindex, interface);
  if (interface.far) {
    if (far_slots_ <= input_.tables.sizes().of(TableId::slots_far))
      out_.set(TableId::slots_far, ifindex, word);
  } else {
    out_.store(TableId::slots, ifindex % PN_SLOTS, word);
  }
}

void Update::write_interfaces() {
  for (const auto& [ifindex, wanted] : wanted_) write_interface(ifindex, wanted);
}

void Update::write_interface(std::uint32_t ifindex, const Wanted& wanted) {
  const auto [found, is_new] = after_.interfaces.try_emplace(ifindex);
  Interface& interface = found->second;
  if (is_new) {
    interface.far = !after_.slot_owners.try_emplace(ifindex % PN_SLOTS, ifindex).second;
    if (interface.far) ++far_slots_;
  }
  for (std::size_t i = 0; i < wanted.contents.size(); ++i) {
    interface.contents[i] = wanted.contents[i] ? wanted.contents[i]->id : kNoContent;
  }
  if (!wanted.contents[0] && !wanted.contents[1]) {
    if (!is_new && !interface.judged) return;
    if (interface.judged) after_.records.give_back(interface.record_index, 1);
    interface = Interface{{}, false, 0, interface.far, interface.contents};
    store_slot(ifindex, interface);
    return;
  }
  const pn_pod record = record_of(wanted);
  if (interface.judged && std::memcmp(&record, &interface.record, sizeof(record)) == 0) return;
  if (!is_new && !(interface.judged && same_meaning(record, interface.record))) narrowed_ = true;
  interface.record = record;
  replace_record(ifindex, interface);
}

}  // namespace postern
