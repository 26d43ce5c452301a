// SPDX-License-Identifier: Apache-2.0
#include "engine/conntrack/conntrack_view.h"

#include <array>

#include "engine/datapath/lifetime.h"

namespace postern {
namespace {

std::uint16_t host_order(std::uint16_t network) { return pn_swap16(network); }

// A port behind an IPv6 address needs brackets to be told from it (RFC 5952, 6).
std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = address.to_string();
  return (address.is_v4() ? text : '[' + text + ']') + ':' + std::to_string(port);
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case PN_IP_TCP: return "TCP";
    case PN_IP_UDP: return "UDP";
    case PN_IP_SCTP: return "SCTP";
    case PN_IP_ICMP: return "ICMP";
    case PN_IP_ICMPV6: return "ICMPv6";
    default: return "protocol " + std::to_string(protocol);
  }
}

std::uint8_t protocol_of(const pn_ct_key& key) {
  return static_cast<std::uint8_t>(key.endpoint_protocol & 0xffu);
}

}  // namespace

IpAddress address_of(const pn_address& address) {
  if (pn_is_v4(address)) return IpAddress::v4(static_cast<std::uint32_t>(address.low));
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(address.high >> (56 - 8 * i));
    bytes[i + 8] = static_cast<std::uint8_t>(address.low >> (56 - 8 * i));
  }
  return IpAddress::v6(bytes);
}

pn_address to_abi(const IpAddress& address) {
  if (address.is_v4()) return pn_address_v4(address.v4_host_order());
  pn_address made{};
  for (std::size_t i = 0; i < 8; ++i) {
    made.high = made.high << 8 | address.bytes()[i];
    made.low = made.low << 8 | address.bytes()[i + 8];
  }
  return made;
}

EndpointId endpoint_of(const pn_ct_key& key) { return EndpointId{key.endpoint_protocol >> 8}; }

ConnectionView view_of(const pn_ct_key& key, const pn_ct_value& value) {
  const bool opener_is_a = (value.state & PN_CT_OPENER_IS_A) != 0;
  ConnectionView view;
  view.endpoint = endpoint_of(key);
  view.protocol = protocol_of(key);
  view.opener = address_of(opener_is_a ? key.address_a : key.address_b);
  view.opener_port = host_order(opener_is_a ? key.port_a : key.port_b);
  view.replier = address_of(opener_is_a ? key.address_b : key.address_a);
  view.replier_port = host_order(opener_is_a ? key.port_b : key.port_a);
  view.opened_by_pod = (value.state & PN_CT_OPENER_EGRESS) != 0;
  view.state = value.state;
  view.step = value.step;
  return view;
}

std::string to_string(const ConnectionView& connection) {
  std::string text = protocol_name(connection.protocol) + ' ' + endpoint_text(connection.opener, connection.opener_port) + " -> " +
                     endpoint_text(connection.replier, connection.replier_port);
  if ((connection.state & PN_CT_REPLIED) != 0) text += " replied";
  if ((connection.state & (PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER)) != 0) text += " fin";
  if ((connection.state & PN_CT_RST) != 0) text += " rst";
  if ((connection.state & PN_CT_CUT) != 0) text += " cut";
  return text + " endpoint " + std::to_string(connection.endpoint.value);
}

std::uint32_t ticks_of(Duration by, std::int64_t tick_ns) {
  if (by.ns <= 0 || tick_ns <= 0) return 0;
  const std::int64_t ticks = (by.ns + tick_ns / 2) / tick_ns;
  return ticks == 0 ? 1 : static_cast<std::uint32_t>(ticks);
}

void age_bucket(pn_ct_bucket& bucket, std::uint32_t ticks) {
  for (auto& way : bucket.ways) {
    if (way.value.state != 0) way.value.seen -= ticks;
  }
}

std::size_t forget_in_bucket(pn_ct_bucket& bucket, EndpointId endpoint) {
  std::size_t forgotten = 0;
  for (std::size_t way = 0; way < PN_CT_WAYS; ++way) {
    pn_ct_way& entry = bucket.ways[way];
    if (entry.value.state == 0 || (endpoint.value != 0 && endpoint_of(entry.key) != endpoint)) continue;
    bucket.fingerprints[way] = 0;
    entry = {};
    ++forgotten;
  }
  return forgotten;
}

}  // namespace postern
