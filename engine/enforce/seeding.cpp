// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/seeding.h"

#include <algorithm>
#include <array>

#include "engine/datapath/lifetime.h"
#include "engine/datapath/place.h"

namespace postern {
namespace {

constexpr int kRounds = 10;  // for those whose place was taken meanwhile: up to all the ways of a bucket

// Answered, or opened by the pod itself: what a peer only tries is nobody's connection yet.
bool counts(const NodeConnection& connection) {
  return connection.opened_by_pod || (connection.state & PN_CT_REPLIED) != 0;
}

ConnectionPut entry_of(const NodeConnection& connection, const pn_node& node, std::uint32_t now) {
  pn_ct_place place{};
  pn_ct_locate(&node, connection.endpoint.value, &connection.tuple, &place);
  std::uint32_t state = PN_CT_LIVE | PN_CT_NODE_HAD | connection.state;
  if (connection.opened_by_pod) state |= PN_CT_OPENER_EGRESS;
  if (place.source_is_a != 0) state |= PN_CT_OPENER_IS_A;
  ConnectionPut put;
  put.read.bucket = place.bucket;
  put.fingerprint = place.fingerprint;
  put.key = place.key;
  put.value = {.epoch = node.epoch - 1,
               .seen = now - connection.idle,
               .state = state,
               .step = pn_step_allow(PN_REASON_NOT_ISOLATED, 0)};
  return put;
}

// Where in its bucket it goes: an entry of its own that has ended, an empty way, or the most spare one.
// False: the connection is known.
bool choose_way(ConnectionPut& put, std::span<const PlacedConnection> bucket, const pn_node& node,
                std::uint32_t now) {
  std::array<const PlacedConnection*, PN_CT_WAYS> ways{};
  const auto alive = [&](const PlacedConnection& entry) {
    return pn_ct_live(&node, &entry.value, entry.key.endpoint_protocol & 0xffu, now) != 0;
  };
  for (const auto& entry : bucket) {
    ways.at(entry.way) = &entry;
    if (pn_ct_same(&entry.key, &put.key) == 0) continue;
    if (alive(entry)) return false;
    put.read = entry;
    return true;
  }
  const PlacedConnection* most = nullptr;
  const auto spare = [&](const PlacedConnection& entry) {
    return alive(entry) ? pn_ct_idle(&entry.value, now) : 0x80000000u;
  };
  for (std::uint32_t way = 0; way < PN_CT_WAYS; ++way) {
    if (ways.at(way) == nullptr) {
      put.read = {.bucket = put.read.bucket, .way = way, .key = {}, .value = {}};
      return true;
    }
    if (most == nullptr || spare(*ways.at(way)) > spare(*most)) most = ways.at(way);
  }
  put.read = *most;
  return true;
}

// What decides in one direction but for who is selected: addresses come and go without a dump of the node's
// connections each time.
bool same_rules(const ResolvedPolicy& before_policy, const DirectionRules& before,
                const ResolvedPolicy& after_policy, const DirectionRules& after) {
  const auto same_peers = [&](const ResolvedRule& a, const ResolvedRule& b) {
    return std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(), [&](TermIndex i, TermIndex k) {
      return before_policy.terms[i].key == after_policy.terms[k].key;
    });
  };
  return before.isolated == after.isolated && before.strict == after.strict &&
         std::equal(before.rules.begin(), before.rules.end(), after.rules.begin(), after.rules.end(),
                    [&](const ResolvedRule& a, const ResolvedRule& b) {
                      return a.tier == b.tier && a.action == b.action && a.priority == b.priority &&
                             a.any_peer == b.any_peer && a.any_port == b.any_port && a.ports == b.ports &&
                             same_peers(a, b);
                    });
}

}  // namespace

Result<Seeding> seed_connections(ConnectionTable& table, const pn_node& node,
                                 std::span<const NodeConnection> connections) {
  Seeding result;
  const auto now = table.now();
  if (!now) return fail_as(now);
  std::vector<ConnectionPut> open;
  for (const auto& connection : connections) {
    if (counts(connection)) open.push_back(entry_of(connection, node, *now));
  }
  std::vector<PlacedConnection> bucket;
  for (int round = 0; round < kRounds && !open.empty(); ++round) {
    std::vector<ConnectionPut> puts;
    for (auto& put : open) {
      bucket.clear();
      if (auto read = table.read(put.read.bucket, 1, bucket); !read) return fail_as(read);
      if (choose_way(put, bucket, node, *now)) {
        puts.push_back(put);
      } else {
        ++result.known;
      }
    }
    if (auto done = table.put(puts); !done) return fail_as(done);
    open.clear();
    for (const auto& put : puts) {
      if (put.made) {
        ++result.written;
      } else {
        open.push_back(put);
      }
    }
  }
  result.missed = open.size();
  return result;
}

bool needs_seeding(const ResolvedPolicy& policy_before, const EndpointPolicy& before,
                   const ResolvedPolicy& policy_after, const EndpointPolicy& after, bool policy_first) {
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    const DirectionPolicy& old_policy = before.at(direction);
    const DirectionPolicy& new_policy = after.at(direction);
    if (!new_policy.judged()) continue;
    if (!old_policy.judged()) return true;
    const bool was_alone = !before.at(direction == Direction::ingress ? Direction::egress : Direction::ingress).judged();
    if (policy_first && was_alone && !same_rules(policy_before, old_policy, policy_after, new_policy)) return true;
  }
  return false;
}

}  // namespace postern
