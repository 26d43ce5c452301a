// SPDX-License-Identifier: Apache-2.0
// Reads a verdict out of table bytes, step by step as engine/abi/tables.h describes them. Written
// apart from the datapath on purpose: the two readings of the layout hold each other.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "engine/base/ip.h"
#include "engine/compile/policy_tables.h"

namespace postern {

struct Question {
  std::uint32_t ifindex = 0;
  std::uint32_t direction = PN_INGRESS;
  IpAddress peer;
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
};

// Neither allow nor deny of a policy: nothing judges this direction of the interface.
inline constexpr std::uint32_t kNotJudged = 0xffffffffu;
// The tables lead nowhere; no policy ever says this.
inline constexpr std::uint32_t kBroken = 0xfffffffeu;

// The number of an address, from its bytes in the packet.
inline pn_address table_address(const IpAddress& address) {
  if (address.is_v4()) return pn_address_v4(address.v4_host_order());
  pn_address number{};
  for (std::size_t i = 0; i < 16; ++i) {
    pn_u64& half = i < 8 ? number.high : number.low;
    half = half << 8 | address.bytes()[i];
  }
  return number;
}

class TableWalk {
 public:
  explicit TableWalk(const PolicyTables& tables) : tables_(tables) {}

  // A final step, or kNotJudged, or kBroken.
  [[nodiscard]] std::uint32_t verdict(const Question& question) const {
    const std::uint64_t slot = slot_of(question.ifindex);
    if ((slot & PN_SLOT_JUDGE) == 0) return kNotJudged;
    const auto pod = at<pn_pod>(TableId::pods, pn_slot_record(slot));
    if (!pod || pod->endpoint == 0) return kBroken;
    const pn_pod_dir& direction = pod->dir[question.direction];
    if ((direction.flags & PN_DIR_JUDGED) == 0) return kNotJudged;
    std::uint32_t peer_class = class_of(question.peer, (direction.flags & PN_DIR_BLOCKS) != 0);
    if (peer_class >= direction.row_len) peer_class = 0;
    const auto chunk = at<pn_row_chunk>(TableId::rows, direction.row + peer_class / PN_ROW_CHUNK);
    if (!chunk) return kBroken;
    return follow(chunk->steps[peer_class % PN_ROW_CHUNK], question);
  }

  [[nodiscard]] std::uint32_t class_of(const IpAddress& peer, bool blocks) const {
    const auto node = *at<pn_node>(TableId::node, 0);
    const pn_address address = table_address(peer);
    const std::uint64_t hash = pn_hash(address, node.hash_secret);
    const auto bucket = at<pn_hosts_bucket>(TableId::hosts, pn_hash_bucket(hash) & node.hosts_mask);
    if (!bucket) return kBroken;
    for (std::size_t way = 0; way < PN_HOSTS_WAYS; ++way) {
      const std::uint64_t word = bucket->words[way];
      const bool here = word != 0 && pn_same_address(bucket->addresses[way], address) != 0;
      // The tag is of the address that stands beside it.
      if (here && pn_high(word) != pn_hash_tag(hash)) return kBroken;
      if (here) return pn_low(word);
    }
    if ((bucket->head & PN_HOSTS_SPILLED) != 0) {
      if (const auto far = find<std::uint32_t>(TableId::hosts_far, address)) return *far;
    }
    return blocks ? block_class(address) : 0;
  }

  [[nodiscard]] std::uint32_t epoch() const { return at<pn_node>(TableId::node, 0)->epoch; }

 private:
  template <typename T>
  [[nodiscard]] std::optional<T> at(TableId table, std::uint32_t index) const {
    const auto bytes = tables_.array(table);
    if ((std::size_t{index} + 1) * sizeof(T) > bytes.size()) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + std::size_t{index} * sizeof(T), sizeof(T));
    return value;
  }

  template <typename T, typename K>
  [[nodiscard]] std::optional<T> find(TableId table, const K& key) const {
    std::vector<std::byte> bytes(sizeof(key));
    std::memcpy(bytes.data(), &key, sizeof(key));
    const auto found = tables_.hash(table).find(bytes);
    if (found == tables_.hash(table).end()) return std::nullopt;
    T value;
    std::memcpy(&value, found->second.data(), sizeof(T));
    return value;
  }

  [[nodiscard]] std::uint64_t slot_of(std::uint32_t ifindex) const {
    const auto slot = at<std::uint64_t>(TableId::slots, ifindex & 0xffff).value_or(0);
    if (slot == 0) return 0;  // empty: nobody looks further
    if (pn_slot_ifindex(slot) == ifindex) return slot;
    return find<std::uint64_t>(TableId::slots_far, ifindex).value_or(0);
  }

  [[nodiscard]] std::uint32_t block_class(const pn_address& peer) const {
    const auto index = at<std::uint64_t>(TableId::idx, pn_idx_page(peer)).value_or(0);
    const std::uint32_t count = pn_high(index);
    if (count == 0) return pn_low(index);
    std::uint32_t found = kBroken;
    pn_address previous{};
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto segment = at<pn_segment>(TableId::seg, pn_low(index) + i);
      if (!segment || pn_idx_page(segment->first) != pn_idx_page(peer)) return kBroken;
      if (i != 0 && pn_address_before(previous, segment->first) == 0) return kBroken;  // not sorted
      if (i == 0 && !starts_page(segment->first)) return kBroken;
      previous = segment->first;
      if (pn_address_before(peer, previous) == 0) found = segment->class_id;
    }
    return found;
  }

  static bool starts_page(const pn_address& address) {
    if (pn_is_v4(address) != 0) return (address.low & 0xffff) == 0;
    return address.low == 0 && (address.high << 16) == 0;
  }

  [[nodiscard]] std::uint32_t follow(std::uint32_t step, const Question& question) const {
    if (pn_step_is_final(step)) return checked(step);
    const auto body = at<pn_body>(TableId::bodies, pn_step_index(step));
    if (!body) return kBroken;
    if (body->interval_protocol == question.protocol && body->interval_lo <= question.port &&
        question.port <= body->interval_hi) {
      return checked(body->interval_step);
    }
    switch (question.protocol) {
      case 6:
        return port_step(body->tcp, question.port);
      case 17:
        return port_step(body->udp, question.port);
      case 132:
        return port_step(body->sctp, question.port);
      default:
        return checked(body->other);
    }
  }

  [[nodiscard]] std::uint32_t port_step(std::uint32_t step, std::uint16_t port) const {
    if (pn_step_is_final(step)) return checked(step);
    const auto directory = at<pn_port_steps>(TableId::portdirs, pn_step_index(step));
    if (!directory) return kBroken;
    step = directory->steps[port / PN_PORT_STEPS];
    if (pn_step_is_final(step)) return checked(step);
    const auto page = at<pn_port_steps>(TableId::portpages, pn_step_index(step));
    return page ? checked(page->steps[port % PN_PORT_STEPS]) : kBroken;
  }

  // A step that still leads on, or that the compiler never writes, is a hole.
  static std::uint32_t checked(std::uint32_t step) {
    return pn_step_is_final(step) && pn_step_reason(step) != PN_REASON_NONE ? step : kBroken;
  }

  const PolicyTables& tables_;
};

}  // namespace postern
