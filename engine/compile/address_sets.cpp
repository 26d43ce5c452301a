// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/address_sets.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace postern {

namespace {

// Both ends included: an end past the last address would have no number.
struct Range {
  AddressNumber first = 0;
  AddressNumber last = 0;
};

Range range_of(const Cidr& block) { return {number_of(block.network()), number_of(block.last())}; }

// The block less its excepts, as ranges that do not overlap. An except is no deny: it only makes
// this one block smaller (R5). What IPv4 is numbered by is cut out of IPv6 blocks likewise: families
// never match each other (R36).
std::vector<Range> ranges_of(const IpBlock& block) {
  std::vector<Range> cuts;
  if (block.cidr.family() == IpFamily::v6) cuts.push_back({kFirstV4, kLastV4});
  for (const auto& except : block.excepts) {
    if (except.contains(block.cidr)) return {};
    if (block.cidr.contains(except)) cuts.push_back(range_of(except));
  }
  std::sort(cuts.begin(), cuts.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  const Range whole = range_of(block.cidr);
  std::vector<Range> ranges;
  AddressNumber at = whole.first;
  for (const auto& cut : cuts) {
    if (cut.first > whole.last) break;
    if (cut.first > at) ranges.push_back({at, cut.first - 1});
    if (cut.last >= whole.last) return ranges;
    at = std::max(at, cut.last + 1);
  }
  ranges.push_back({at, whole.last});
  return ranges;
}

struct Edge {
  AddressNumber at;
  BundleId bundle;
  bool begins;
};

void sweep_blocks(const std::vector<BundledTerm>& terms, SignaturePool& signatures, AddressSignatures& out) {
  std::vector<Edge> edges;
  for (const auto& [bundle, term] : terms) {
    if (term->kind != TermKind::block) continue;
    out.has_blocks = true;
    for (const auto& range : ranges_of(term->block)) {
      edges.push_back({range.first, bundle, true});
      if (range.last != kLastAddress) edges.push_back({range.last + 1, bundle, false});
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.at, !a.begins) < std::pair(b.at, !b.begins);
  });
  std::map<BundleId, std::uint32_t> active;  // how many blocks of the bundle are open
  std::vector<BundleId> bundles_here;
  for (std::size_t i = 0; i < edges.size();) {
    const AddressNumber at = edges[i].at;
    for (; i < edges.size() && edges[i].at == at; ++i) {
      // Begins come first among equals, so no count falls below zero.
      auto& open = active[edges[i].bundle];
      open = edges[i].begins ? open + 1 : open - 1;
      if (open == 0) active.erase(edges[i].bundle);
    }
    bundles_here.clear();
    for (const auto& [bundle, count] : active) bundles_here.push_back(bundle);
    const SignatureId signature = signatures.id_of(bundles_here);
    if (at == 0) out.intervals.clear();
    if (out.intervals.empty() || out.intervals.back().signature != signature) {
      out.intervals.push_back({at, signature});
    }
  }
}

struct Membership {
  AddressNumber address;
  BundleId bundle;
};

// Sorted by address and stable, so that the bundles of an address stay in ascending order. Bytes
// that are the same everywhere, as most of them are, cost nothing.
void sort_by_address(std::vector<Membership>& members) {
  AddressNumber varying = 0;
  for (const auto& member : members) varying |= member.address ^ members.front().address;
  std::vector<Membership> other(members.size());
  for (unsigned shift = 0; shift < 128; shift += 8) {
    if ((varying >> shift & 0xff) == 0) continue;
    const auto byte_of = [shift](const Membership& member) {
      return static_cast<std::size_t>(member.address >> shift & 0xff);
    };
    std::array<std::size_t, 257> start{};
    for (const auto& member : members) ++start[byte_of(member) + 1];
    for (std::size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
    for (const auto& member : members) other[start[byte_of(member)]++] = member;
    members.swap(other);
  }
}

std::vector<Membership> memberships(const std::vector<BundledTerm>& terms,
                                    const std::vector<IpAddress>& own_node) {
  std::size_t count = own_node.size();
  for (const auto& [bundle, term] : terms) count += term->addresses.size();
  std::vector<Membership> members;
  members.reserve(count);
  const auto add = [&](const IpAddress& address, BundleId bundle) {
    const AddressNumber number = number_of(address);
    // An IPv6 address with the number of an IPv4 one is on no packet.
    if (is_v4(number) == address.is_v4()) members.push_back({number, bundle});
  };
  for (const auto& address : own_node) add(address, kOwnNode);
  for (const auto& [bundle, term] : terms) {
    if (term->kind != TermKind::addresses) continue;
    for (const auto& address : term->addresses) add(address, bundle);
  }
  sort_by_address(members);
  return members;
}

}  // namespace

AddressSignatures sign_addresses(const std::vector<BundledTerm>& terms,
                                 const std::vector<IpAddress>& own_node, SignaturePool& signatures) {
  AddressSignatures out;
  sweep_blocks(terms, signatures, out);
  const auto members = memberships(terms, own_node);
  out.hosts.reserve(members.size());
  std::vector<BundleId> bundles_here;
  std::size_t interval = 0;
  for (std::size_t i = 0; i < members.size();) {
    const AddressNumber address = members[i].address;
    bundles_here.clear();
    for (; i < members.size() && members[i].address == address; ++i)
      bundles_here.push_back(members[i].bundle);
    while (interval + 1 < out.intervals.size() && out.intervals[interval + 1].first <= address) ++interval;
    // A pod is also in the blocks around it (R4).
    const auto blocks = signatures.bundles_of(out.intervals[interval].signature);
    if (!blocks.empty()) {
      bundles_here.insert(bundles_here.end(), blocks.begin(), blocks.end());
      std::sort(bundles_here.begin(), bundles_here.end());
    }
    bundles_here.erase(std::unique(bundles_here.begin(), bundles_here.end()), bundles_here.end());
    const SignatureId signature = signatures.id_of(bundles_here);
    if (signature != out.intervals[interval].signature) out.hosts.push_back({address, signature});
  }
  return out;
}

namespace {

SignatureId interval_signature(const AddressSignatures& addresses, AddressNumber address) {
  const auto after = std::upper_bound(
      addresses.intervals.begin(), addresses.intervals.end(), address,
      [](AddressNumber at, const IntervalSignature& interval) { return at < interval.first; });
  return std::prev(after)->signature;
}

SignatureId signature_at(const AddressSignatures& addresses, const IpAddress& address) {
  const AddressNumber number = number_of(address);
  const auto host =
      std::lower_bound(addresses.hosts.begin(), addresses.hosts.end(), number,
                       [](const HostSignature& one, AddressNumber at) { return one.address < at; });
  if (host != addresses.hosts.end() && host->address == number) return host->signature;
  return interval_signature(addresses, number);
}

ServiceSignature signature_of(const ResolvedService& service, const AddressSignatures& addresses) {
  ServiceSignature signature;
  for (const auto& port : service.ports) {
    auto& targets = signature.emplace_back(ServicePortTargets{port.protocol, port.port, {}}).targets;
    for (const auto& backend : port.backends) {
      targets.push_back({signature_at(addresses, backend.address), backend.port, backend.endpoint.value});
    }
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  }
  std::sort(signature.begin(), signature.end());
  return signature;
}

}  // namespace

std::vector<SignatureId> sign_services(const std::vector<ResolvedService>& services,
                                       SignaturePool& signatures, AddressSignatures& addresses) {
  std::vector<SignatureId> out;
  std::map<AddressNumber, SignatureId> cluster_ips;
  // All of them before the first becomes a host: a backend is never seen as a ClusterIP itself.
  for (const auto& service : services) {
    const SignatureId plain = signature_at(addresses, service.address);
    // What the own node has itself stays the own node, a node-local DNS for one (R2).
    const bool own = signatures.has_own_node(plain);
    out.push_back(own ? plain : signatures.id_of(signature_of(service, addresses), plain));
    const AddressNumber number = number_of(service.address);
    if (is_v4(number) == service.address.is_v4()) cluster_ips.emplace(number, out.back());
  }
  if (cluster_ips.empty()) return out;
  std::vector<HostSignature> hosts;
  hosts.reserve(addresses.hosts.size() + cluster_ips.size());
  auto next = cluster_ips.begin();
  const auto add_before = [&](const HostSignature* host) {
    for (; next != cluster_ips.end() && (host == nullptr || next->first < host->address); ++next) {
      if (next->second != interval_signature(addresses, next->first)) {
        hosts.push_back({next->first, next->second});
      }
    }
  };
  for (const auto& host : addresses.hosts) {
    add_before(&host);
    if (next == cluster_ips.end() || next->first != host.address) hosts.push_back(host);
  }
  add_before(nullptr);
  addresses.hosts = std::move(hosts);
  return out;
}

}  // namespace postern
