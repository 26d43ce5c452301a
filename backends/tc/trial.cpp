// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/trial.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <postern_tc.skel.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

// Of a packet that is run without naming an interface: the loopback's, which no pod has.
constexpr std::uint32_t kTrialInterface = 1;
constexpr std::uint32_t kRecord = 1;
constexpr std::uint32_t kBuckets = 8;  // of connections and fragments; there will be one at most

const char* program_name(std::uint32_t direction) { return direction == PN_EGRESS ? "pn_from_pod" : "pn_to_pod"; }

// What a trial has of its own.
bool is_own(std::string_view map) {
  for (const std::string_view name :
       {"pn_node", "pn_slots", "pn_slots_far", "pn_pods", "pn_ct", "pn_fragments", "pn_counters", "pn_events", "pn_monitor"}) {
    if (map == name) return true;
  }
  return map.substr(0, 3) != "pn_";  // the compiler's
}

Result<void> set(const bpf_object* object, const char* map, std::uint32_t index, const void* value) {
  const int fd = bpf_object__find_map_fd_by_name(object, map);
  if (bpf_map_update_elem(fd, &index, value, BPF_ANY) == 0) return {};
  return fail_errno(std::string("filling ") + map + " of a trial", errno);
}

int take_event(void* context, void* data, std::size_t size) {
  if (size >= sizeof(pn_event)) std::memcpy(context, data, sizeof(pn_event));
  return 0;
}

}  // namespace

Trial::~Trial() {
  if (object_ != nullptr) bpf_object__close(object_);
}

Result<std::unique_ptr<Trial>> Trial::load(const PinnedNode& node, std::uint32_t direction, std::uint64_t slot,
                                           const pn_pod& pod) {
  std::unique_ptr<Trial> trial(new Trial(node, direction));
  if (auto loaded = trial->load_object(); !loaded) return fail_as(loaded);
  if (auto filled = trial->fill(slot, pod); !filled) return fail_as(filled);
  return trial;
}

Result<void> Trial::load_object() {
  LibbpfLog log;
  std::size_t size = 0;
  const void* bytes = postern_tc__elf_bytes(&size);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "postern_trial";
  object_ = bpf_object__open_mem(bytes, size, &options);
  if (object_ == nullptr) return fail_errno("opening the BPF object", errno, &log);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_) {
    const char* name = bpf_map__name(map);
    int error = 0;
    if (!is_own(name)) error = bpf_map__reuse_fd(map, node_.map_fd(name));
    if (std::string_view(name) == "pn_ct" || std::string_view(name) == "pn_fragments") error = bpf_map__set_max_entries(map, kBuckets);
    if (std::string_view(name) == "pn_pods") error = bpf_map__set_max_entries(map, kRecord + 1);
    if (error != 0) return fail_errno(std::string("giving a trial the map ") + name, -error, &log);
  }
  // The verifier takes its time with each program.
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_) {
    bpf_program__set_autoload(program, std::string_view(bpf_program__name(program)) == program_name(direction_));
  }
  if (const int error = bpf_object__load(object_); error != 0) return fail_errno("loading a trial", -error, &log);
  return {};
}

Result<void> Trial::fill(std::uint64_t slot, pn_pod pod) {
  const std::uint32_t zero = 0;
  pn_node node{};
  if (bpf_map_lookup_elem(node_.map_fd("pn_node"), &zero, &node) != 0) return fail_errno("reading pn_node", errno);
  node.ct_mask = kBuckets - 1;
  node.fragment_mask = kBuckets - 1;
  node.monitor_until = 0;
  if (auto done = set(object_, "pn_node", 0, &node); !done) return done;
  if (slot == 0) return {};  // as for an interface that has none
  const std::uint64_t word = pn_slot(kTrialInterface, kRecord, (slot & PN_SLOT_JUDGE) != 0);
  if (auto done = set(object_, "pn_slots", kTrialInterface, &word); !done) return done;
  pod.flags |= PN_POD_EVENT_ALL;
  return set(object_, "pn_pods", kRecord, &pod);
}

Result<Classified> Trial::run(std::span<const std::byte> frame) {
  std::array<std::byte, 4096> out{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = out.size();
  const bpf_program* program = bpf_object__find_program_by_name(object_, program_name(direction_));
  if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
    return fail_errno("running the program (BPF_PROG_TEST_RUN)", errno);
  }
  pn_event event{};
  ring_buffer* ring =
      ring_buffer__new(bpf_object__find_map_fd_by_name(object_, "pn_events"), take_event, &event, nullptr);
  if (ring == nullptr) return fail_errno("opening the events of a trial", errno);
  const int count = ring_buffer__consume(ring);
  ring_buffer__free(ring);
  if (count < 0) return fail_errno("reading the events of a trial", -count);
  return Classified{options.retval != TC_ACT_SHOT, event.step};
}

Result<bool> Trial::is_the_pinned_program() const {
  const char* name = program_name(direction_);
  const auto own = describe_program(bpf_program__fd(bpf_object__find_program_by_name(object_, name)));
  if (!own) return fail_as(own);
  const auto pinned = describe_program(node_.program_fd(name));
  if (!pinned) return fail_as(pinned);
  return own->tag == pinned->tag;
}

}  // namespace postern::tc
