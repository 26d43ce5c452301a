// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

bpf_tc_hook hook_of(std::uint32_t ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = point;
  return hook;
}

bpf_tc_attach_point point_of(Hook hook) { return hook == Hook::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS; }

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kFilterHandle;
  options.priority = kFilterPriority;
  return options;
}

// The number of filters on one parent of an interface; -1 when the kernel does not say.
int count_filters(std::uint32_t ifindex, std::uint32_t parent) {
  mnl_socket* socket = mnl_socket_open(NETLINK_ROUTE);
  if (socket == nullptr) return -1;
  std::array<char, 16384> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  auto* message = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  message->tcm_family = AF_UNSPEC;
  message->tcm_ifindex = static_cast<int>(ifindex);
  message->tcm_parent = parent;
  int filters = 0;
  const auto count_one = [](const nlmsghdr* reply, void* data) {
    if (reply->nlmsg_type == RTM_NEWTFILTER) ++*static_cast<int*>(data);
    return MNL_CB_OK;
  };
  bool good = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
              mnl_socket_sendto(socket, header, header->nlmsg_len) > 0;
  for (int state = MNL_CB_OK; good && state == MNL_CB_OK;) {
    const ssize_t length = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (length <= 0) break;
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 1, mnl_socket_get_portid(socket),
                       count_one, &filters);
    good = state != MNL_CB_ERROR;
  }
  mnl_socket_close(socket);
  return good ? filters : -1;
}

bool no_filter_left(std::uint32_t ifindex) {
  return count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) == 0 &&
         count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)) == 0;
}

class ClsactAttachment final : public Attachment {
 public:
  ClsactAttachment(std::uint32_t ifindex, Hook hook, std::uint32_t program_id, bool made_qdisc)
      : ifindex_(ifindex), hook_(hook), program_id_(program_id), made_qdisc_(made_qdisc) {}

  ~ClsactAttachment() override {
    LibbpfLog quiet;
    if (!alive()) return;
    const bpf_tc_hook hook = hook_of(ifindex_, point_of(hook_));
    const bpf_tc_opts place = our_place();
    bpf_tc_detach(&hook, &place);
    if (made_qdisc_ && no_filter_left(ifindex_)) {
      bpf_tc_hook both = hook_of(ifindex_, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
      bpf_tc_hook_destroy(&both);
    }
  }

  [[nodiscard]] bool alive() const override {
    LibbpfLog quiet;
    const bpf_tc_hook hook = hook_of(ifindex_, point_of(hook_));
    bpf_tc_opts place = our_place();
    return bpf_tc_query(&hook, &place) == 0 && place.prog_id == program_id_;
  }

 private:
  std::uint32_t ifindex_;
  Hook hook_;
  std::uint32_t program_id_;
  bool made_qdisc_;
};

}  // namespace

Result<std::unique_ptr<Attachment>> attach_clsact(std::uint32_t ifindex, Hook hook, int program_fd) {
  LibbpfLog log;
  const std::string what = std::string("attaching to ") + (hook == Hook::ingress ? "ingress" : "egress") +
                           " of interface " + std::to_string(ifindex) + " (clsact)";
  bpf_tc_hook where = hook_of(ifindex, point_of(hook));
  const int made = bpf_tc_hook_create(&where);
  if (made == -ENODEV || made == -EINVAL) {
    return fail(ErrorCode::not_found, what + ": no such interface in this network namespace");
  }
  if (made != 0 && made != -EEXIST) return fail_errno(what, -made, &log);
  bpf_tc_opts place = our_place();
  place.prog_fd = program_fd;
  place.flags = BPF_TC_F_REPLACE;  // a filter of ours that a killed process left behind
  if (const int error = bpf_tc_attach(&where, &place); error != 0) return fail_errno(what, -error, &log);
  return std::make_unique<ClsactAttachment>(ifindex, hook, place.prog_id, made == 0);
}

}  // namespace postern::tc
