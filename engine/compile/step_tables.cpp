// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/step_tables.h"

#include <algorithm>
#include <array>
#include <optional>

namespace postern {

namespace {

using Words = SharedElements::Words;

std::size_t hash_of(const Words& words) {
  std::uint64_t hash = words.size();
  for (const std::uint32_t word : words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 29;
  }
  return hash;
}

bool uniform(const std::vector<PortStep>& ports) { return ports.size() == 1; }

// One run of ports over one default: what a body holds inline.
struct Inline {
  std::uint16_t lo = 0;
  std::uint16_t hi = 0;
  std::uint32_t step = 0;
  std::uint32_t otherwise = 0;
};

std::optional<Inline> inline_interval(const std::vector<PortStep>& ports) {
  if (ports.size() == 2) return Inline{ports[1].lo, 65535, ports[1].step, ports[0].step};
  if (ports.size() == 3 && ports[0].step == ports[2].step) {
    return Inline{ports[1].lo, static_cast<std::uint16_t>(ports[2].lo - 1), ports[1].step, ports[0].step};
  }
  return std::nullopt;
}

}  // namespace

SharedElements::Place SharedElements::intern(Words words) {
  const std::size_t hash = hash_of(words);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (*elements_.at(it->second) == words) return {it->second, false};
  }
  const std::uint32_t index = space_.take(1);
  if (space_.overflowed()) return {0, false};  // the update is refused; nothing is kept of it
  elements_[index] = std::make_shared<const Words>(std::move(words));
  by_hash_.emplace(hash, index);
  return {index, true};
}

void SharedElements::keep_only(const std::set<std::uint32_t>& used) {
  for (auto it = elements_.begin(); it != elements_.end();) {
    if (used.contains(it->first)) {
      ++it;
      continue;
    }
    const auto [begin, end] = by_hash_.equal_range(hash_of(*it->second));
    const auto known = std::find_if(begin, end, [&](const auto& entry) { return entry.second == it->first; });
    by_hash_.erase(known);
    space_.give_back(it->first, 1);
    it = elements_.erase(it);
  }
}

StepTables::StepTables(const TableSizes& sizes)
    : bodies_(TableId::bodies, sizes.of(TableId::bodies)),
      directories_(TableId::portdirs, sizes.of(TableId::portdirs)),
      pages_(TableId::portpages, sizes.of(TableId::portpages)) {}

void StepTables::begin_update() {
  bodies_.space().begin_update();
  directories_.space().begin_update();
  pages_.space().begin_update();
}

std::uint32_t StepTables::place(SharedElements& elements, Words words, DeltaWriter& out) {
  const auto [index, inserted] = elements.intern(std::move(words));
  if (inserted) {
    const Words& stored = elements.at(index);
    if (elements.table() == TableId::bodies) {
      pn_body body{};
      static_assert(sizeof(body) == 8 * sizeof(std::uint32_t));
      std::memcpy(&body, stored.data(), sizeof(body));
      out.store(TableId::bodies, index, body);
    } else {
      pn_port_steps steps{};
      std::copy(stored.begin(), stored.end(), steps.steps);
      out.store(elements.table(), index, steps);
    }
  }
  return pn_step_continue(index);
}

std::uint32_t StepTables::port_directory(const std::vector<PortStep>& ports, DeltaWriter& out) {
  Words directory;
  directory.reserve(PN_PORT_STEPS);
  std::size_t at = 0;  // the entry in force at the page's first port
  for (std::uint32_t first = 0; first < 65536; first += PN_PORT_STEPS) {
    while (at + 1 < ports.size() && ports[at + 1].lo <= first) ++at;
    if (at + 1 == ports.size() || ports[at + 1].lo >= first + PN_PORT_STEPS) {
      directory.push_back(ports[at].step);
      continue;
    }
    Words page;
    page.reserve(PN_PORT_STEPS);
    for (std::uint32_t port = first; port < first + PN_PORT_STEPS; ++port) {
      while (at + 1 < ports.size() && ports[at + 1].lo <= port) ++at;
      page.push_back(ports[at].step);
    }
    directory.push_back(place(pages_, std::move(page), out));
  }
  return place(directories_, std::move(directory), out);
}

std::uint32_t StepTables::step_of(const Folded& folded, DeltaWriter& out) {
  const bool all_equal = std::all_of(folded.ports.begin(), folded.ports.end(), [&](const auto& ports) {
    return uniform(ports) && ports[0].step == folded.other;
  });
  if (all_equal) return folded.other;

  pn_body body{};
  body.other = folded.other;
  std::array<std::uint32_t, kPortProtocols.size()> steps{};
  for (std::size_t i = 0; i < kPortProtocols.size(); ++i) {
    const auto& ports = folded.ports[i];
    const auto interval = inline_interval(ports);
    if (uniform(ports)) {
      steps[i] = ports[0].step;
    } else if (interval && body.interval_protocol == 0) {
      body.interval_protocol = static_cast<std::uint32_t>(kPortProtocols[i]);
      body.interval_lo = interval->lo;
      body.interval_hi = interval->hi;
      body.interval_step = interval->step;
      steps[i] = interval->otherwise;
    } else {
      steps[i] = port_directory(ports, out);
    }
  }
  body.tcp = steps[0];
  body.udp = steps[1];
  body.sctp = steps[2];
  Words words(8);
  std::memcpy(words.data(), &body, sizeof(body));
  return place(bodies_, std::move(words), out);
}

void StepTables::keep_only(const std::vector<bool>& used_bodies) {
  std::set<std::uint32_t> bodies;
  std::set<std::uint32_t> directories;
  std::set<std::uint32_t> pages;
  const auto follow = [](std::uint32_t step, std::set<std::uint32_t>& into) {
    return !pn_step_is_final(step) && into.insert(pn_step_index(step)).second;
  };
  for (std::uint32_t index = 0; index < used_bodies.size(); ++index) {
    if (!used_bodies[index]) continue;
    bodies.insert(index);
    const Words& body = bodies_.at(index);
    for (const std::size_t member : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {  // tcp, udp, sctp
      if (!follow(body[member], directories)) continue;
      for (const std::uint32_t entry : directories_.at(pn_step_index(body[member]))) follow(entry, pages);
    }
  }
  bodies_.keep_only(bodies);
  directories_.keep_only(directories);
  pages_.keep_only(pages);
}

}  // namespace postern
