// SPDX-License-Identifier: Apache-2.0
#include "engine/decode/policy_decoder.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/datapath/parse.h"

namespace postern {
namespace {

constexpr std::uint32_t kLastPort = 65535;

template <typename T>
std::optional<T> element(const PolicyTables& tables, TableId table, std::uint32_t index) {
  const auto bytes = tables.array(table);
  if ((std::size_t{index} + 1) * sizeof(T) > bytes.size()) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + std::size_t{index} * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
T value_of(const std::vector<std::byte>& bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof(T), bytes.size()));
  return value;
}

// What leads nowhere denies without a reason.
std::uint32_t final_or_hole(std::uint32_t step) { return pn_step_is_final(step) ? step : 0; }

void append(std::vector<PortSpan>& spans, std::uint32_t lo, std::uint32_t hi, std::uint32_t step) {
  if (!spans.empty() && spans.back().step == step) {
    spans.back().range.hi = static_cast<std::uint16_t>(hi);
  } else {
    spans.push_back({{static_cast<std::uint16_t>(lo), static_cast<std::uint16_t>(hi)}, step});
  }
}

// The inline interval of a body is asked first.
std::vector<PortSpan> with_interval(const std::vector<PortSpan>& ports, const pn_body& body) {
  if (body.interval_lo > body.interval_hi) return ports;
  std::vector<PortSpan> out;
  for (const auto& span : ports) {
    if (span.range.lo < body.interval_lo) {
      append(out, span.range.lo, std::min<std::uint32_t>(span.range.hi, body.interval_lo - 1U), span.step);
    }
    const std::uint32_t lo = std::max(span.range.lo, body.interval_lo);
    const std::uint32_t hi = std::min(span.range.hi, body.interval_hi);
    if (lo <= hi) append(out, lo, hi, final_or_hole(body.interval_step));
    if (span.range.hi > body.interval_hi) {
      append(out, std::max<std::uint32_t>(span.range.lo, body.interval_hi + 1U), span.range.hi, span.step);
    }
  }
  return out;
}

// Sorted insertion of spans; one that begins where another does replaces it.
void append(std::vector<AnswerSpan>& spans, AddressNumber first, std::uint32_t answer) {
  if (!spans.empty() && spans.back().first == first) spans.pop_back();
  if (spans.empty() || spans.back().answer != answer) spans.push_back({first, answer});
}

// No IPv6 packet has an address of the range that IPv4 lies in, so no answer is given there.
std::vector<AnswerSpan> without_v4(const std::vector<AnswerSpan>& spans) {
  std::vector<AnswerSpan> out;
  std::uint32_t behind = 0;
  auto span = spans.begin();
  for (; span != spans.end() && span->first <= kLastV4; ++span) {
    if (span->first < kFirstV4) out.push_back(*span);
    behind = span->answer;
  }
  out.push_back({kFirstV4, kAnyAnswer});
  out.push_back({kLastV4 + 1, behind});
  for (; span != spans.end(); ++span) append(out, span->first, span->answer);
  return out;
}

bool in_family(AddressNumber address, IpFamily family) { return is_v4(address) == (family == IpFamily::v4); }

}  // namespace

std::uint32_t PeerAnswer::step(std::uint8_t protocol, std::uint16_t port) const {
  for (std::size_t i = 0; i < kAnsweredProtocols.size(); ++i) {
    if (static_cast<std::uint8_t>(kAnsweredProtocols[i]) != protocol) continue;
    for (const auto& span : ports[i]) {
      if (span.range.contains(port)) return span.step;
    }
    return 0;
  }
  return pn_is_icmp(protocol) ? icmp : other;
}

bool PeerAnswer::denies_everything() const {
  const auto denied = [](const PortSpan& span) { return pn_step_allows(span.step) == 0; };
  return pn_step_allows(icmp) == 0 && pn_step_allows(other) == 0 &&
         std::all_of(ports.begin(), ports.end(),
                     [&](const auto& spans) { return std::all_of(spans.begin(), spans.end(), denied); });
}

bool PeerAnswer::allows_everything() const {
  const auto allowed = [](const PortSpan& span) { return pn_step_allows(span.step) != 0; };
  return pn_step_allows(icmp) != 0 && pn_step_allows(other) != 0 &&
         std::all_of(ports.begin(), ports.end(),
                     [&](const auto& spans) { return std::all_of(spans.begin(), spans.end(), allowed); });
}

const PeerAnswer& DecodedDirection::answer_to(const IpAddress& peer) const {
  static const PeerAnswer kHole;
  const AnswerPrefix* best = nullptr;
  for (const auto& entry : prefixes) {
    if (!entry.prefix.contains(peer)) continue;
    if (best == nullptr || best->prefix.prefix_length() < entry.prefix.prefix_length()) best = &entry;
  }
  return best == nullptr ? kHole : answers[best->answer];
}

// The answers of a direction by class, each different one once.
struct PolicyDecoder::Classes {
  const PolicyDecoder& decoder;
  const pn_pod_dir& dir;
  std::vector<PeerAnswer>& answers;
  std::unordered_map<std::uint32_t, std::uint32_t> by_step{};

  std::uint32_t operator()(std::uint32_t class_id) {
    if (class_id >= dir.row_len) class_id = 0;
    const auto chunk =
        element<pn_row_chunk>(decoder.tables_, TableId::rows, dir.row + class_id / PN_ROW_CHUNK);
    const std::uint32_t step = chunk ? chunk->steps[class_id % PN_ROW_CHUNK] : 0;
    const auto known = by_step.find(step);
    if (known != by_step.end()) return known->second;
    PeerAnswer answer = decoder.answer_of(step);
    const auto same = std::find(answers.begin(), answers.end(), answer);
    const auto number = static_cast<std::uint32_t>(same - answers.begin());
    if (same == answers.end()) answers.push_back(std::move(answer));
    by_step.emplace(step, number);
    return number;
  }
};

pn_node PolicyDecoder::node() const {
  return element<pn_node>(tables_, TableId::node, 0).value_or(pn_node{});
}

std::vector<DecodedInterface> PolicyDecoder::interfaces() const {
  std::vector<DecodedInterface> found;
  const auto take = [&](std::uint64_t slot) {
    DecodedInterface interface;
    interface.ifindex = pn_slot_ifindex(slot);
    interface.judged = (slot & PN_SLOT_JUDGE) != 0;
    interface.record = pn_slot_record(slot);
    if (interface.judged) {
      interface.pod = element<pn_pod>(tables_, TableId::pods, interface.record).value_or(pn_pod{});
    }
    found.push_back(interface);
  };
  for (std::uint32_t i = 0; i < tables_.sizes().of(TableId::slots); ++i) {
    const std::uint64_t slot = element<std::uint64_t>(tables_, TableId::slots, i).value_or(0);
    if (slot != 0) take(slot);
  }
  for (const auto& [key, value] : tables_.hash(TableId::slots_far)) take(value_of<std::uint64_t>(value));
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  return found;
}

DecodedDirection PolicyDecoder::direction(const pn_pod_dir& dir) const {
  DecodedDirection decoded;
  decoded.judged = (dir.flags & PN_DIR_JUDGED) != 0;
  if (!decoded.judged) return decoded;
  Classes classes{*this, dir, decoded.answers};
  classes(0);
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    auto prefixes = prefixes_of(spans(dir, family, classes), family);
    decoded.prefixes.insert(decoded.prefixes.end(), prefixes.begin(), prefixes.end());
  }
  return decoded;
}

// Blocks first, hosts laid over them: a host that is stored is not asked for among the blocks.
std::vector<AnswerSpan> PolicyDecoder::spans(const pn_pod_dir& dir, IpFamily family, Classes& classes) const {
  const bool v4 = family == IpFamily::v4;
  std::vector<AnswerSpan> blocks;
  append(blocks, v4 ? kFirstV4 : 0, classes(0));
  for (std::uint32_t page = 0; (dir.flags & PN_DIR_BLOCKS) != 0 && page < PN_IDX_PAGES; ++page) {
    const AddressNumber first = v4 ? kFirstV4 | AddressNumber{page} << 16 : AddressNumber{page} << 112;
    const std::uint64_t run =
        element<std::uint64_t>(tables_, TableId::idx, v4 ? page : PN_IDX_PAGES + page).value_or(0);
    if (pn_high(run) == 0) append(blocks, first, classes(pn_low(run)));
    for (std::uint32_t i = 0; i < pn_high(run); ++i) {
      const auto segment = element<pn_segment>(tables_, TableId::seg, pn_low(run) + i);
      if (!segment) break;
      append(blocks, from_abi(segment->first), classes(segment->class_id));
    }
  }
  std::vector<AnswerSpan> spans;
  const auto stored = hosts(family);
  auto host = stored.begin();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const bool is_last = i + 1 == blocks.size();
    append(spans, blocks[i].first, blocks[i].answer);
    for (; host != stored.end() && (is_last || host->first < blocks[i + 1].first); ++host) {
      append(spans, host->first, classes(host->second));
      if (host->first != kLastAddress) append(spans, host->first + 1, blocks[i].answer);
    }
  }
  return v4 ? spans : without_v4(spans);
}

// Address -> class.
std::map<AddressNumber, std::uint32_t> PolicyDecoder::hosts(IpFamily family) const {
  std::map<AddressNumber, std::uint32_t> found;
  for (std::uint32_t i = 0; i < tables_.sizes().of(TableId::hosts); ++i) {
    const auto bucket = element<pn_hosts_bucket>(tables_, TableId::hosts, i);
    if (!bucket) break;
    for (std::size_t way = 0; way < PN_HOSTS_WAYS; ++way) {
      const AddressNumber address = from_abi(bucket->addresses[way]);
      if (bucket->words[way] != 0 && in_family(address, family)) found.emplace(address, pn_low(bucket->words[way]));
    }
  }
  for (const auto& [key, value] : tables_.hash(TableId::hosts_far)) {
    const AddressNumber address = from_abi(value_of<pn_address>(key));
    if (in_family(address, family)) found.emplace(address, value_of<std::uint32_t>(value));
  }
  return found;
}

PeerAnswer PolicyDecoder::answer_of(std::uint32_t step) const {
  PeerAnswer answer;
  const std::optional<pn_body> body =
      pn_step_is_final(step) ? std::nullopt : element<pn_body>(tables_, TableId::bodies, pn_step_index(step));
  if (!body) {
    const std::uint32_t everywhere = final_or_hole(step);
    for (auto& ports : answer.ports) ports = {{PortRange{}, everywhere}};
    answer.icmp = everywhere;
    answer.other = pn_step_portless(everywhere);
    return answer;
  }
  const std::array<std::uint32_t, 3> steps{body->tcp, body->udp, body->sctp};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    answer.ports[i] = ports_of(steps[i]);
    if (body->interval_protocol == static_cast<std::uint32_t>(kAnsweredProtocols[i])) {
      answer.ports[i] = with_interval(answer.ports[i], *body);
    }
  }
  answer.icmp = final_or_hole(body->other);
  answer.other = pn_step_portless(answer.icmp);
  return answer;
}

std::vector<PortSpan> PolicyDecoder::ports_of(std::uint32_t step) const {
  if (pn_step_is_final(step)) return {{PortRange{}, step}};
  const auto directory = element<pn_port_steps>(tables_, TableId::portdirs, pn_step_index(step));
  if (!directory) return {{PortRange{}, 0}};
  std::vector<PortSpan> spans;
  for (std::uint32_t high = 0; high < PN_PORT_STEPS; ++high) {
    const std::uint32_t first = high * PN_PORT_STEPS;
    const std::uint32_t entry = directory->steps[high];
    const auto page = pn_step_is_final(entry)
                          ? std::nullopt
                          : element<pn_port_steps>(tables_, TableId::portpages, pn_step_index(entry));
    if (!page) append(spans, first, first + PN_PORT_STEPS - 1, final_or_hole(entry));
    for (std::uint32_t low = 0; page && low < PN_PORT_STEPS; ++low) {
      append(spans, first + low, first + low, final_or_hole(page->steps[low]));
    }
  }
  static_assert(PN_PORT_STEPS * PN_PORT_STEPS == kLastPort + 1);
  return spans;
}

}  // namespace postern
