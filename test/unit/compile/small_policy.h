// SPDX-License-Identifier: Apache-2.0
// Short ways to write resolved policies by hand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/compile/table_compiler.h"
#include "test/property/table_walk.h"

namespace postern::compile_test {

inline IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
inline Cidr cidr(const std::string& text) { return *Cidr::parse(text); }

inline Term pods(const std::string& key, const std::vector<std::string>& addresses) {
  Term term;
  term.key = key;
  for (const auto& address : addresses) term.addresses.push_back(ip(address));
  return term;
}

inline Term block(const std::string& key, const std::string& network,
                  const std::vector<std::string>& excepts = {}) {
  Term term;
  term.key = key;
  term.kind = TermKind::block;
  term.block.cidr = cidr(network);
  for (const auto& except : excepts) term.block.excepts.push_back(cidr(except));
  return term;
}

inline ResolvedRule rule(std::uint32_t id, std::vector<TermIndex> peers, std::vector<PortMatch> ports = {}) {
  ResolvedRule out;
  out.id = RuleId{id};
  out.any_peer = peers.empty();
  out.peers = std::move(peers);
  out.any_port = ports.empty();
  out.ports = std::move(ports);
  return out;
}

inline PortMatch tcp(std::uint16_t lo, std::uint16_t hi = 0) {
  return {Protocol::tcp, {lo, hi == 0 ? lo : hi}};
}

inline EndpointPolicy endpoint(std::uint32_t id, std::uint32_t ifindex) {
  EndpointPolicy out;
  out.endpoint = EndpointId{id};
  out.ifindex = ifindex;
  out.pod = {"default", "pod-" + std::to_string(id)};
  out.addresses = {IpAddress::v4(0x0a000000 + id)};
  return out;
}

// The verdict for a TCP port, ingress.
inline std::uint32_t verdict(const PolicyTables& tables, std::uint32_t ifindex, const std::string& peer,
                             std::uint16_t port, std::uint32_t direction = PN_INGRESS,
                             std::uint8_t protocol = 6) {
  return TableWalk(tables).verdict({ifindex, direction, ip(peer), protocol, port});
}

template <typename T>
T entry(const PolicyTables& tables, TableId table, std::uint32_t index) {
  T value;
  std::memcpy(&value, tables.array(table).data() + std::size_t{index} * sizeof(T), sizeof(T));
  return value;
}

inline pn_pod record_of(const PolicyTables& tables, std::uint32_t ifindex) {
  const auto slot = entry<std::uint64_t>(tables, TableId::slots, ifindex & 0xffff);
  return entry<pn_pod>(tables, TableId::pods, pn_slot_record(slot));
}

}  // namespace postern::compile_test
