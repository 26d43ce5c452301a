// SPDX-License-Identifier: Apache-2.0
// Tracked connections as C++ sees them: the entries of a bucket, what they say, and the changes that
// user space makes to them (ageing, forgetting). The transitions themselves are in engine/datapath.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/abi/conntrack.h"
#include "engine/abi/tables.h"
#include "engine/base/ids.h"
#include "engine/base/ip.h"
#include "engine/base/time.h"

namespace postern {

// One tracked connection, taken apart: who opened it to whom.
struct ConnectionView {
  EndpointId endpoint;
  std::uint8_t protocol = 0;
  IpAddress opener;
  std::uint16_t opener_port = 0;  // host order; ICMP: the id
  IpAddress replier;
  std::uint16_t replier_port = 0;
  bool opened_by_pod = false;
  std::uint32_t state = 0;  // enum pn_ct_state
  std::uint32_t step = 0;   // the final step that admitted it
};

ConnectionView view_of(const pn_ct_key& key, const pn_ct_value& value);

// "TCP 10.0.0.5:40000 -> 10.0.0.9:80 replied fin endpoint 7".
std::string to_string(const ConnectionView& connection);

EndpointId endpoint_of(const pn_ct_key& key);
IpAddress address_of(const pn_address& address);
pn_address to_abi(const IpAddress& address);

// Ticks of a duration, to the nearest: what ageing takes off. A positive one is at least one tick.
std::uint32_t ticks_of(Duration by, std::int64_t tick_ns);

// The used ways of a bucket, in order, cut connections left out: they carry nothing any more.
template <typename Visitor>
void for_each_entry(const pn_ct_bucket& bucket, Visitor visit) {
  for (std::size_t way = 0; way < PN_CT_WAYS; ++way) {
    const pn_ct_way& entry = bucket.ways[way];
    if (bucket.fingerprints[way] != 0 && entry.value.state != 0 && (entry.value.state & PN_CT_CUT) == 0) {
      visit(entry.key, entry.value);
    }
  }
}

// Changes to a bucket that no packet sees meanwhile (under its lock, or in one thread).
void age_bucket(pn_ct_bucket& bucket, std::uint32_t ticks);
// Frees the ways of an endpoint, or all with a zero id. Returns how many there were.
std::size_t forget_in_bucket(pn_ct_bucket& bucket, EndpointId endpoint);

}  // namespace postern
