// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <utility>

#include "backends/tc/bpffs.h"
#include "backends/tc/clsact.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

// The headers of Debian 12 are older than TCX; the numbers are part of the kernel's interface.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr std::uint32_t kTcxLink = 11;      // BPF_LINK_TYPE_TCX
constexpr std::uint32_t kBefore = 1u << 3;  // BPF_F_BEFORE; without a relative: first of all
constexpr std::uint32_t kLoopback = 1;      // in every network namespace

bpf_attach_type type_of(Hook hook) { return hook == Hook::ingress ? kTcxIngress : kTcxEgress; }

bool probe_tcx() {
  LibbpfLog quiet;
  std::uint32_t flags = 0;
  std::uint32_t ids[1] = {};
  std::uint32_t count = 0;
  // A kernel without TCX does not know the attach type: EINVAL.
  return bpf_prog_query(kLoopback, kTcxIngress, 0, &flags, ids, &count) == 0 || errno == ENOSPC;
}

// What a link says of itself.
struct LinkFacts {
  bool tcx = false;
  std::uint32_t ifindex = 0;  // 0: the interface is gone
  std::uint32_t attach_type = 0;
};

LinkFacts facts_of(int link) {
  bpf_link_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link, &info, &size) != 0) return {};
  // tcx.ifindex and tcx.attach_type, of which these headers do not know: where netns has its two.
  return {info.type == kTcxLink, info.xdp.ifindex, info.netns.attach_type};
}

std::string describe(const HookPlace& place, const char* what, const char* how) {
  return std::string(what) + " " + name_of(place.hook) + " of interface " + std::to_string(place.ifindex) +
         " (" + how + ")";
}

class TcxAttachment final : public Attachment {
 public:
  TcxAttachment(UniqueFd link, HookPlace place) : link_(std::move(link)), place_(std::move(place)) {}
  ~TcxAttachment() override {
    if (place_.folder.empty() && link_.valid()) bpf_link_detach(link_.get());
  }
  [[nodiscard]] AttachKind kind() const override { return AttachKind::tcx; }
  [[nodiscard]] bool alive() const override { return link_.valid() && facts_of(link_.get()).ifindex != 0; }

  Result<void> replace(int program_fd) override {
    LibbpfLog log;
    if (bpf_link_update(link_.get(), program_fd, nullptr) == 0) return {};
    return fail_errno(describe(place_, "replacing the program on", "TCX"), errno, &log);
  }

  Result<void> move_to(const std::string& folder) override {
    if (folder == place_.folder) return {};
    if (auto made = make_folder(folder); !made) return made;
    if (auto moved = rename_folder(pin(), folder + "/" + name_of(place_.hook)); !moved) return moved;
    place_.folder = folder;
    return {};
  }

  Result<void> take_off() override {
    if (!link_.valid()) return {};
    LibbpfLog log;
    // ENOLINK: the interface took it along.
    if (bpf_link_detach(link_.get()) != 0 && errno != ENOLINK && errno != ENODEV) {
      return fail_errno(describe(place_, "detaching from", "TCX"), errno, &log);
    }
    if (!place_.folder.empty()) {
      if (auto removed = remove_pin(pin()); !removed) return removed;
    }
    link_.reset();
    return {};
  }

 private:
  [[nodiscard]] std::string pin() const { return place_.folder + "/" + name_of(place_.hook); }

  UniqueFd link_;
  HookPlace place_;
};

Result<std::unique_ptr<Attachment>> attach_tcx(const HookPlace& place, int program_fd) {
  LibbpfLog log;
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = kBefore;
  UniqueFd link(
      bpf_link_create(program_fd, static_cast<int>(place.ifindex), type_of(place.hook), &options));
  const std::string what = describe(place, "attaching to", "TCX");
  if (!link.valid()) {
    if (errno == ENODEV)
      return fail(ErrorCode::not_found, what + ": no such interface in this network namespace");
    return fail_errno(what, errno, &log);
  }
  if (!place.folder.empty()) {
    // Without its pin the link goes with its descriptor.
    if (auto made = make_folder(place.folder); !made) return fail_as(made);
    if (auto pinned = make_pin(link.get(), place.folder + "/" + name_of(place.hook)); !pinned) {
      return fail_as(pinned);
    }
  }
  return std::make_unique<TcxAttachment>(std::move(link), place);
}

Result<std::unique_ptr<Attachment>> pinned_tcx(const HookPlace& place) {
  const std::string path = place.folder + "/" + name_of(place.hook);
  auto link = open_pin(path, PinKind::link);
  if (!link) return fail_as(link);
  const LinkFacts facts = facts_of(link->get());
  const bool gone = facts.ifindex == 0;
  if (!facts.tcx || facts.attach_type != static_cast<std::uint32_t>(type_of(place.hook)) ||
      (!gone && facts.ifindex != place.ifindex)) {
    return fail(ErrorCode::invalid_input, path + " is not a TCX link on " + name_of(place.hook) +
                                              " of interface " + std::to_string(place.ifindex) +
                                              ", as Postern would have pinned it there: somebody else's? "
                                              "Remove it");
  }
  return std::make_unique<TcxAttachment>(std::move(*link), place);
}

}  // namespace

const char* name_of(Hook hook) { return hook == Hook::ingress ? "ingress" : "egress"; }

AttachKind best_attach_kind() {
  static const AttachKind kind = probe_tcx() ? AttachKind::tcx : AttachKind::clsact;
  return kind;
}

Result<std::unique_ptr<Attachment>> attach_program(AttachKind kind, const HookPlace& place, int program_fd) {
  if (kind == AttachKind::tcx) return attach_tcx(place, program_fd);
  return attach_clsact(place, program_fd);
}

Result<std::vector<std::unique_ptr<Attachment>>> pinned_attachments(const HookPlace& place) {
  std::vector<std::unique_ptr<Attachment>> found;
  if (auto link = pinned_tcx(place)) {
    found.push_back(std::move(*link));
  } else if (link.error().code != ErrorCode::not_found) {
    return fail_as(link);
  }
  if (auto filter = pinned_clsact(place)) found.push_back(std::move(filter));
  return found;
}

}  // namespace postern::tc
