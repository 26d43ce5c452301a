// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "backends/tc/clsact.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

// The headers of Debian 12 are older than TCX; the numbers are part of the kernel's interface.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr std::uint32_t kBefore = 1u << 3;  // BPF_F_BEFORE; without a relative: first of all
constexpr std::uint32_t kLoopback = 1;      // in every network namespace

bool probe_tcx() {
  LibbpfLog quiet;
  std::uint32_t flags = 0;
  std::uint32_t ids[1] = {};
  std::uint32_t count = 0;
  // A kernel without TCX does not know the attach type: EINVAL.
  return bpf_prog_query(kLoopback, kTcxIngress, 0, &flags, ids, &count) == 0 || errno == ENOSPC;
}

class TcxAttachment final : public Attachment {
 public:
  explicit TcxAttachment(int link) : link_(link) {}
  ~TcxAttachment() override {
    bpf_link_detach(link_);
    close(link_);
  }
  [[nodiscard]] bool alive() const override {
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(link_, &info, &size) != 0) return false;
    return info.xdp.ifindex != 0;  // tcx.ifindex, of which these headers do not know; same place
  }

 private:
  int link_;
};

Result<std::unique_ptr<Attachment>> attach_tcx(std::uint32_t ifindex, Hook hook, int program_fd) {
  LibbpfLog log;
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = kBefore;
  const bpf_attach_type type = hook == Hook::ingress ? kTcxIngress : kTcxEgress;
  const int link = bpf_link_create(program_fd, static_cast<int>(ifindex), type, &options);
  if (link >= 0) return std::make_unique<TcxAttachment>(link);
  const int error = errno;
  const std::string what = std::string("attaching to ") + (hook == Hook::ingress ? "ingress" : "egress") +
                           " of interface " + std::to_string(ifindex) + " (TCX)";
  if (error == ENODEV)
    return fail(ErrorCode::not_found, what + ": no such interface in this network namespace");
  return fail_errno(what, error, &log);
}

}  // namespace

AttachKind best_attach_kind() {
  static const AttachKind kind = probe_tcx() ? AttachKind::tcx : AttachKind::clsact;
  return kind;
}

Result<std::unique_ptr<Attachment>> attach_program(AttachKind kind, std::uint32_t ifindex, Hook hook,
                                                   int program_fd) {
  if (kind == AttachKind::tcx) return attach_tcx(ifindex, hook, program_fd);
  return attach_clsact(ifindex, hook, program_fd);
}

}  // namespace postern::tc
