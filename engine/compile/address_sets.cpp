// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/address_sets.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace postern {

namespace {

struct Range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

Range range_of(const Cidr& block) { return {block.network().v4_host_order(), block.last().v4_host_order()}; }

// The block less its excepts, as ranges that do not overlap. An except is no deny: it only makes
// this one block smaller (R5).
std::vector<Range> ranges_of(const IpBlock& block) {
  std::vector<Range> cuts;
  for (const auto& except : block.excepts) {
    if (except.contains(block.cidr)) return {};
    if (block.cidr.contains(except)) cuts.push_back(range_of(except));
  }
  std::sort(cuts.begin(), cuts.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  const Range whole = range_of(block.cidr);
  std::vector<Range> ranges;
  std::uint64_t at = whole.first;
  for (const auto& cut : cuts) {
    if (cut.first > at) ranges.push_back({static_cast<std::uint32_t>(at), cut.first - 1});
    at = std::max(at, std::uint64_t{cut.last} + 1);
  }
  if (at <= whole.last) ranges.push_back({static_cast<std::uint32_t>(at), whole.last});
  return ranges;
}

struct Edge {
  std::uint64_t at;
  BundleId bundle;
  bool begins;
};

void sweep_blocks(const std::vector<BundledTerm>& terms, SignaturePool& signatures, AddressSignatures& out) {
  std::vector<Edge> edges;
  for (const auto& [bundle, term] : terms) {
    if (term->kind != TermKind::block || term->block.cidr.family() != IpFamily::v4) continue;
    out.has_blocks = true;
    for (const auto& range : ranges_of(term->block)) {
      edges.push_back({range.first, bundle, true});
      edges.push_back({std::uint64_t{range.last} + 1, bundle, false});
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.at, !a.begins) < std::pair(b.at, !b.begins);
  });
  std::map<BundleId, std::uint32_t> active;  // how many blocks of the bundle are open
  std::vector<BundleId> bundles_here;
  for (std::size_t i = 0; i < edges.size();) {
    const std::uint64_t at = edges[i].at;
    for (; i < edges.size() && edges[i].at == at; ++i) {
      // Begins come first among equals, so no count falls below zero.
      auto& open = active[edges[i].bundle];
      open = edges[i].begins ? open + 1 : open - 1;
      if (open == 0) active.erase(edges[i].bundle);
    }
    if (at > 0xffffffffu) break;
    bundles_here.clear();
    for (const auto& [bundle, count] : active) bundles_here.push_back(bundle);
    const SignatureId signature = signatures.id_of(bundles_here);
    if (at == 0) out.intervals.clear();
    if (out.intervals.empty() || out.intervals.back().signature != signature) {
      out.intervals.push_back({static_cast<std::uint32_t>(at), signature});
    }
  }
}

struct Membership {
  std::uint32_t address;
  BundleId bundle;
};

// Sorted by address and stable, so that the bundles of an address stay in ascending order. A byte
// that is the same everywhere, as the first ones usually are, costs one count.
void sort_by_address(std::vector<Membership>& members) {
  std::vector<Membership> other(members.size());
  for (unsigned shift = 0; shift < 32; shift += 8) {
    std::array<std::size_t, 257> start{};
    for (const auto& member : members) ++start[((member.address >> shift) & 0xff) + 1];
    if (std::find(start.begin(), start.end(), members.size()) != start.end()) continue;
    for (std::size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
    for (const auto& member : members) other[start[(member.address >> shift) & 0xff]++] = member;
    members.swap(other);
  }
}

std::vector<Membership> memberships(const std::vector<BundledTerm>& terms,
                                    const std::vector<IpAddress>& own_node) {
  std::vector<Membership> members;
  for (const auto& address : own_node) {
    if (address.is_v4()) members.push_back({address.v4_host_order(), kOwnNode});
  }
  for (const auto& [bundle, term] : terms) {
    if (term->kind != TermKind::addresses) continue;
    for (const auto& address : term->addresses) {
      if (address.is_v4()) members.push_back({address.v4_host_order(), bundle});
    }
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
  std::vector<BundleId> bundles_here;
  std::size_t interval = 0;
  for (std::size_t i = 0; i < members.size();) {
    const std::uint32_t address = members[i].address;
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

}  // namespace postern
