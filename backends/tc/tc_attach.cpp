// SPDX-License-Identifier: Apache-2.0
// The part of the tc backend that has to do with hooks and pins.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "backends/tc/inherit.h"
#include "backends/tc/libbpf_log.h"
#include "backends/tc/tc_backend.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern {

namespace {
constexpr std::uint64_t kWays = PN_CT_WAYS;
}

bool TcBackend::Hooks::alive() const {
  return std::all_of(attachments.begin(), attachments.end(), [](const auto& of_hook) {
    return of_hook.size() == 1 && of_hook.front()->alive();
  });
}

int TcBackend::program_on(tc::Hook hook) const {
  return programs_[hook == tc::Hook::ingress ? PN_EGRESS : PN_INGRESS];
}

Result<void> TcBackend::open_pins(const TcOptions& options) {
  if (options.pin_path.empty()) return {};
  auto pins = tc::PinStore::open(options.pin_path);
  if (!pins) return fail_as(pins);
  pins_ = std::move(*pins);
  return {};
}

// The pinned connections take the place of a new table, and so do counters and both rings of events.
Result<void> TcBackend::size_connections() {
  bpf_map* connections = bpf_object__find_map_by_name(object_, "pn_ct");
  bpf_map* counters = bpf_object__find_map_by_name(object_, "pn_counters");
  bpf_map* events = bpf_object__find_map_by_name(object_, "pn_events");
  bpf_map* monitor = bpf_object__find_map_by_name(object_, "pn_monitor");
  if (connections == nullptr || bpf_map__value_size(connections) != sizeof(pn_ct_bucket) ||
      counters == nullptr || events == nullptr || monitor == nullptr) {
    return fail(ErrorCode::internal,
                "the BPF object has no maps pn_ct, pn_counters, pn_events, pn_monitor of this version");
  }
  if (pins_ && !pins_->generations().empty()) {
    const tc::PinnedGeneration& newest = pins_->generations().front();
    const auto shift = tc::tick_shift_of(newest);
    if (!shift) return fail_as(shift);
    tc::LibbpfLog log;
    for (const auto& [map, fd] : {std::pair{counters, &newest.counters}, std::pair{events, &newest.events},
                                  std::pair{monitor, &newest.monitor}}) {
      if (const int error = bpf_map__reuse_fd(map, fd->get()); error != 0) {
        return tc::fail_errno("taking over a pinned map", -error, &log);
      }
    }
    inheritance_.connections = *shift == clock_.shift;
    if (inheritance_.connections) {
      if (const int error = bpf_map__reuse_fd(connections, newest.connections.get()); error != 0) {
        return tc::fail_errno("taking over the pinned connections", -error, &log);
      }
      if (newest.conntrack_buckets != sizes_.conntrack_buckets) {
        notes_.push_back("the pinned table of connections has room for " +
                         std::to_string(newest.conntrack_buckets * kWays) + " and stays; " +
                         std::to_string(sizes_.conntrack_buckets * kWays) +
                         " were asked for: uninstall first to change it");
        sizes_.conntrack_buckets = newest.conntrack_buckets;
      }
      return {};
    }
    notes_.push_back("the pinned connections count time in other ticks; they are not taken over");
  }
  if (const int error = bpf_map__set_max_entries(connections, sizes_.conntrack_buckets); error != 0) {
    return tc::fail_errno("setting the size of pn_ct to " + std::to_string(sizes_.conntrack_buckets), -error);
  }
  return {};
}

Result<void> TcBackend::inherit() {
  if (!pins_) return {};
  auto interfaces = pins_->take_interfaces();
  if (!interfaces) return fail_as(interfaces);
  std::vector<std::uint32_t> ifindexes;
  for (auto& [ifindex, attachments] : *interfaces) {
    ifindexes.push_back(ifindex);
    hooks_.emplace(ifindex, Hooks{std::move(attachments), true});
  }
  const bool connections = inheritance_.connections;
  auto inherited = tc::read_inheritance(pins_->generations(), ifindexes);
  if (!inherited) return fail_as(inherited);
  inheritance_ = std::move(*inherited);
  if (connections) {
    const auto entries = connections_.read();
    if (!entries) return fail_as(entries);
    for (const ConntrackEntry& entry : *entries) {
      inheritance_.last_endpoint = std::max(inheritance_.last_endpoint, endpoint_of(entry.key));
    }
  } else {
    // Whatever numbers the interfaces had, nothing is known by them any more.
    inheritance_ = Inheritance{std::move(inheritance_.interfaces), false, 0, 0, {}, {}};
    for (auto& interface : inheritance_.interfaces) interface.endpoint = {};
    if (!ifindexes.empty()) {
      notes_.push_back("connections of the version before are not taken over: those that no rule admits "
                       "by themselves are judged as new");
    }
  }
  if (!ifindexes.empty()) {
    notes_.push_back("inherited " + std::to_string(ifindexes.size()) +
                     " interfaces, which stay as they are until there is a policy");
  }
  return {};
}

Result<void> TcBackend::publish() {
  if (!pins_ || published_) return {};
  if (auto done = pins_->publish(object_); !done) return done;
  published_ = true;
  return {};
}

Result<void> TcBackend::attach(std::uint32_t ifindex) {
  if (auto done = publish(); !done) return done;
  const auto [found, fresh] = hooks_.try_emplace(ifindex);
  Hooks& hooks = found->second;
  if (!fresh && !hooks.inherited && hooks.alive()) {
    if (auto done = take_over_from_amazon(ifindex); !done) return done;
    return retire_when_settled();
  }
  for (const tc::Hook hook : tc::kHooks) {
    const tc::HookPlace place{ifindex, hook, pins_ ? pins_->interface_folder(ifindex) : ""};
    auto done = occupy(place, hooks.attachments[static_cast<std::size_t>(hook)]);
    if (done) continue;
    // Half an interface is none; but what was in force stays so.
    if (!hooks.inherited) {
      if (auto off = take_off(found); !off) return off;
    }
    return done;
  }
  hooks.inherited = false;
  hooks.alone = false;
  if (auto done = take_over_from_amazon(ifindex); !done) return done;
  return retire_when_settled();
}

Result<void> TcBackend::take_over_from_amazon(std::uint32_t ifindex) {
  Hooks& hooks = hooks_.at(ifindex);
  if (amazon_folder_.empty() || hooks.alone) return {};
  if (!amazon_) {
    auto opened = tc::AmazonTakeover::open(amazon_folder_);
    if (!opened) return fail_as(opened);
    amazon_ = std::move(*opened);
  }
  auto removed = amazon_->take_over(ifindex);
  if (!removed) return fail_as(removed);
  for (const std::string& line : *removed) notes_.push_back("taken over from the Amazon agent: removed " + line);
  hooks.alone = true;
  return {};
}

// One attachment of ours on the hook. What is there stays until what comes is there.
Result<void> TcBackend::occupy(const tc::HookPlace& place,
                               std::vector<std::unique_ptr<tc::Attachment>>& attachments) {
  auto keep = std::find_if(attachments.begin(), attachments.end(), [&](const auto& attachment) {
    return attachment->kind() == attach_kind_ && attachment->alive();
  });
  if (keep != attachments.end()) {
    if (auto replaced = (*keep)->replace(program_on(place.hook)); !replaced) return replaced;
    std::iter_swap(attachments.begin(), keep);
  }
  const bool kept = keep != attachments.end();
  // The pin of a dead one is in the way of the new one's.
  for (auto it = attachments.begin() + (kept ? 1 : 0); it != attachments.end();) {
    if ((*it)->alive()) {
      ++it;
      continue;
    }
    if (auto off = (*it)->take_off(); !off) return off;
    it = attachments.erase(it);
  }
  if (!kept) {
    auto made = tc::attach_program(attach_kind_, place, program_on(place.hook));
    if (!made) return fail_as(made);
    attachments.insert(attachments.begin(), std::move(*made));
  }
  while (attachments.size() > 1) {
    if (auto off = attachments.back()->take_off(); !off) return off;
    attachments.pop_back();
  }
  return place.folder.empty() ? Result<void>{} : attachments.front()->move_to(place.folder);
}

Result<void> TcBackend::detach(std::uint32_t ifindex) {
  const auto found = hooks_.find(ifindex);
  if (found == hooks_.end()) return {};
  if (auto off = take_off(found); !off) return off;
  return retire_when_settled();
}

Result<void> TcBackend::take_off(std::map<std::uint32_t, Hooks>::iterator hooks) {
  for (auto& of_hook : hooks->second.attachments) {
    while (!of_hook.empty()) {
      if (auto off = of_hook.back()->take_off(); !off) return off;
      of_hook.pop_back();
    }
  }
  const std::uint32_t ifindex = hooks->first;
  hooks_.erase(hooks);
  return pins_ ? pins_->drop_interface(ifindex) : Result<void>{};
}

// The generations before are needed as long as an interface runs one of their programs; and until this
// one is pinned, the newest of them is what keeps connections and counters.
Result<void> TcBackend::retire_when_settled() {
  if (!pins_ || !published_ || retired_) return {};
  const bool waiting = std::any_of(hooks_.begin(), hooks_.end(),
                                   [](const auto& entry) { return entry.second.inherited; });
  if (waiting) return {};
  if (auto retired = pins_->retire_others(); !retired) return retired;
  retired_ = true;
  return {};
}

std::vector<std::string> TcBackend::take_notes() {
  if (pins_) {
    for (std::string& note : pins_->take_notes()) notes_.push_back(std::move(note));
  }
  return std::exchange(notes_, {});
}

}  // namespace postern
