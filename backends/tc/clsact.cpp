// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>
#include <utility>

#include "backends/tc/bpffs.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

bpf_tc_attach_point point_of(Hook hook) { return hook == Hook::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS; }

bpf_tc_hook hook_of(const HookPlace& place) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(place.ifindex);
  hook.attach_point = point_of(place.hook);
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kFilterHandle;
  options.priority = kFilterPriority;
  return options;
}

std::string mark_of(const HookPlace& place) { return place.folder + "/" + name_of(place.hook) + "-clsact"; }
std::string qdisc_mark_of(const HookPlace& place) { return place.folder + "/qdisc"; }

std::string describe(const HookPlace& place, const char* what) {
  return std::string(what) + " " + name_of(place.hook) + " of interface " + std::to_string(place.ifindex) +
         " (clsact)";
}

// The program at our place; 0: there is none.
std::uint32_t program_at(const HookPlace& place) {
  LibbpfLog quiet;
  const bpf_tc_hook hook = hook_of(place);
  bpf_tc_opts ours = our_place();
  return bpf_tc_query(&hook, &ours) == 0 ? ours.prog_id : 0;
}

// An error counts as somebody's filter: what may be in use stays.
bool no_filter_left(std::uint32_t ifindex) {
  auto filters = Filters::open();
  if (!filters) return false;
  const auto found = filters->of(ifindex);
  return found && found->empty();
}

void destroy_qdisc_if_empty(const HookPlace& place) {
  if (!no_filter_left(place.ifindex)) return;
  LibbpfLog quiet;
  bpf_tc_hook both = hook_of(place);
  both.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&both);
}

// Puts the program at our place, in one step if another is there. Returns the program's id.
Result<std::uint32_t> put_filter(const HookPlace& place, int program_fd, const char* what) {
  LibbpfLog log;
  const bpf_tc_hook hook = hook_of(place);
  bpf_tc_opts ours = our_place();
  ours.prog_fd = program_fd;
  ours.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &ours); error != 0) {
    return fail_errno(describe(place, what), -error, &log);
  }
  return ours.prog_id;
}

class ClsactAttachment final : public Attachment {
 public:
  ClsactAttachment(HookPlace place, std::uint32_t program_id, bool made_qdisc)
      : place_(std::move(place)), program_id_(program_id), made_qdisc_(made_qdisc) {}

  ~ClsactAttachment() override {
    if (place_.folder.empty()) ClsactAttachment::take_off();
  }

  [[nodiscard]] AttachKind kind() const override { return AttachKind::clsact; }
  [[nodiscard]] bool alive() const override { return program_id_ != 0 && program_at(place_) == program_id_; }

  Result<void> replace(int program_fd) override {
    const auto id = put_filter(place_, program_fd, "replacing the program on");
    if (!id) return fail_as(id);
    program_id_ = *id;
    return {};
  }

  Result<void> move_to(const std::string& folder) override {
    if (folder == place_.folder) return {};
    HookPlace to = place_;
    to.folder = folder;
    if (auto made = make_folder(mark_of(to)); !made) return made;
    if (folder_exists(qdisc_mark_of(place_))) {
      if (auto made = make_folder(qdisc_mark_of(to)); !made) return made;
    }
    if (auto removed = remove_marks(); !removed) return removed;
    place_ = std::move(to);
    return {};
  }

  Result<void> take_off() override {
    const bool pinned = !place_.folder.empty();
    // Where no filter of ours was, the interface may be another one, and its qdisc not ours either.
    const bool was_there = alive();
    if (auto removed = remove_filter(); !removed) return removed;
    program_id_ = 0;
    const bool made_qdisc = pinned ? folder_exists(qdisc_mark_of(place_)) : made_qdisc_;
    if (was_there && made_qdisc) destroy_qdisc_if_empty(place_);
    return pinned ? remove_marks() : Result<void>{};
  }

 private:
  // Of an index that now belongs to another interface, or a place that somebody else has taken, nothing.
  Result<void> remove_filter() {
    if (!alive()) return {};
    LibbpfLog log;
    const bpf_tc_hook hook = hook_of(place_);
    const bpf_tc_opts ours = our_place();
    const int error = bpf_tc_detach(&hook, &ours);
    if (error == 0 || !alive()) return {};
    return fail_errno(describe(place_, "detaching from"), -error, &log);
  }

  // The qdisc's mark stays for the other hook.
  Result<void> remove_marks() {
    if (auto removed = remove_folder(mark_of(place_)); !removed) return fail_as(removed);
    for (const Hook hook : kHooks) {
      HookPlace other = place_;
      other.hook = hook;
      if (folder_exists(mark_of(other))) return {};
    }
    if (auto removed = remove_folder(qdisc_mark_of(place_)); !removed) return fail_as(removed);
    return {};
  }

  HookPlace place_;
  std::uint32_t program_id_;  // 0: none of ours
  bool made_qdisc_;           // of one that is not pinned
};

}  // namespace

bool is_ours(const Filter& filter) {
  return filter.kind == "bpf" && filter.priority == kFilterPriority && filter.handle == kFilterHandle &&
         (filter.name.rfind("pn_from_pod", 0) == 0 || filter.name.rfind("pn_to_pod", 0) == 0);
}

Result<std::unique_ptr<Attachment>> attach_clsact(const HookPlace& place, int program_fd) {
  bpf_tc_hook where = hook_of(place);
  int made = 0;
  {
    LibbpfLog log;
    made = bpf_tc_hook_create(&where);
    if (made == -ENODEV || made == -EINVAL) {
      return fail(ErrorCode::not_found,
                  describe(place, "attaching to") + ": no such interface in this network namespace");
    }
    if (made != 0 && made != -EEXIST) return fail_errno(describe(place, "attaching to"), -made, &log);
  }
  // The marks first: a filter without one would be nobody's if this process were killed.
  if (!place.folder.empty()) {
    if (made == 0) {
      if (auto marked = make_folder(qdisc_mark_of(place)); !marked) return fail_as(marked);
    }
    if (auto marked = make_folder(mark_of(place)); !marked) return fail_as(marked);
  }
  const auto id = put_filter(place, program_fd, "attaching to");
  auto attachment = std::make_unique<ClsactAttachment>(place, id ? *id : 0, made == 0);
  if (id) return attachment;
  if (auto removed = attachment->take_off(); !removed) return fail_as(removed);
  return fail_as(id);
}

std::unique_ptr<Attachment> pinned_clsact(const HookPlace& place) {
  if (!folder_exists(mark_of(place))) return nullptr;
  return std::make_unique<ClsactAttachment>(place, program_at(place), false);
}

}  // namespace postern::tc
