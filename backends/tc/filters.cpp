// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/filters.h"

#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

using Buffer = std::array<char, 32768>;

std::uint32_t parent_of(Hook hook) {
  return TC_H_MAKE(TC_H_CLSACT, hook == Hook::ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

// libmnl's loop over attributes is a macro that C++ does not take.
template <typename Visit>
void each_attribute(const nlattr* first, const char* end, Visit visit) {
  for (const nlattr* attribute = first;
       mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
       attribute = mnl_attr_next(attribute)) {
    visit(*attribute);
  }
}

void read_options(const nlattr& options, Filter& filter) {
  const auto* payload = static_cast<const char*>(mnl_attr_get_payload(&options));
  each_attribute(reinterpret_cast<const nlattr*>(payload), payload + mnl_attr_get_payload_len(&options),
                 [&](const nlattr& one) {
                   if (mnl_attr_get_type(&one) == TCA_BPF_ID) filter.program_id = mnl_attr_get_u32(&one);
                   if (mnl_attr_get_type(&one) == TCA_BPF_NAME) filter.name = mnl_attr_get_str(&one);
                 });
}

// A message without a handle speaks of the priority and not of a filter.
bool read_filter(const nlmsghdr* message, Filter& filter) {
  if (message->nlmsg_type != RTM_NEWTFILTER) return false;
  const auto* head = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  if (head->tcm_handle == 0) return false;
  filter.handle = head->tcm_handle;
  filter.priority = TC_H_MAJ(head->tcm_info) >> 16;
  filter.protocol = TC_H_MIN(head->tcm_info);
  const nlattr* options = nullptr;
  const auto* first = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(tcmsg)));
  each_attribute(first, static_cast<const char*>(mnl_nlmsg_get_payload_tail(message)),
                 [&](const nlattr& one) {
                   if (mnl_attr_get_type(&one) == TCA_KIND) filter.kind = mnl_attr_get_str(&one);
                   if (mnl_attr_get_type(&one) == TCA_CHAIN) filter.chain = mnl_attr_get_u32(&one);
                   if (mnl_attr_get_type(&one) == TCA_OPTIONS) options = &one;
                 });
  if (filter.kind == "bpf" && options != nullptr) read_options(*options, filter);
  return true;
}

tcmsg* put_head(nlmsghdr* header, std::uint32_t ifindex, Hook hook) {
  auto* head = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg)));
  head->tcm_family = AF_UNSPEC;
  head->tcm_ifindex = static_cast<int>(ifindex);
  head->tcm_parent = parent_of(hook);
  return head;
}

}  // namespace

void Filters::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<Filters> Filters::open() {
  Filters filters;
  filters.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!filters.socket_ || mnl_socket_bind(filters.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return fail_errno("opening a netlink socket", errno);
  }
  return filters;
}

Result<std::vector<Filter>> Filters::of(std::uint32_t ifindex) {
  std::vector<Filter> found;
  for (const Hook hook : {Hook::ingress, Hook::egress}) {
    if (auto listed = list(ifindex, hook, found); !listed) return fail_as(listed);
  }
  return found;
}

Result<void> Filters::list(std::uint32_t ifindex, Hook hook, std::vector<Filter>& into) {
  Buffer buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = ++sequence_;
  put_head(header, ifindex, hook);
  struct Context {
    std::vector<Filter>& into;
    Filter like;
  } context{into, {}};
  context.like.ifindex = ifindex;
  context.like.hook = hook;
  const auto take_one = [](const nlmsghdr* message, void* data) {
    auto* wanted = static_cast<Context*>(data);
    Filter filter = wanted->like;
    if (read_filter(message, filter)) wanted->into.push_back(std::move(filter));
    return MNL_CB_OK;
  };
  const std::string what = "listing the filters of interface " + std::to_string(ifindex);
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return fail_errno(what, errno);
  for (int state = MNL_CB_OK; state == MNL_CB_OK;) {
    const ssize_t length = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (length < 0) return fail_errno(what, errno);
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence_,
                       mnl_socket_get_portid(socket_.get()), take_one, &context);
    // No clsact qdisc there.
    if (state == MNL_CB_ERROR && (errno == EINVAL || errno == ENODEV || errno == ENOENT)) return {};
    if (state == MNL_CB_ERROR) return fail_errno(what, errno);
  }
  return {};
}

Result<void> Filters::remove(const Filter& filter) {
  Buffer buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_DELTFILTER;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = ++sequence_;
  tcmsg* head = put_head(header, filter.ifindex, filter.hook);
  head->tcm_handle = filter.handle;
  head->tcm_info = TC_H_MAKE(filter.priority << 16, filter.protocol);
  mnl_attr_put_strz(header, TCA_KIND, filter.kind.c_str());
  mnl_attr_put_u32(header, TCA_CHAIN, filter.chain);
  const std::string what = "removing filter " + filter.name + " from interface " + std::to_string(filter.ifindex);
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return fail_errno(what, errno);
  const ssize_t length = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
  if (length < 0) return fail_errno(what, errno);
  if (mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence_,
                 mnl_socket_get_portid(socket_.get()), nullptr, nullptr) >= 0) {
    return {};
  }
  // Whatever the kernel says of a filter, qdisc or interface that is gone: what counts is that it is.
  const int error = errno;
  const auto left = of(filter.ifindex);
  if (!left) return fail_as(left);
  for (const Filter& one : *left) {
    if (one == filter) return fail_errno(what, error);
  }
  return {};
}

std::vector<std::uint32_t> interfaces_here() {
  std::vector<std::uint32_t> indexes;
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return indexes;
  for (const struct if_nameindex* one = all; one->if_index != 0; ++one) indexes.push_back(one->if_index);
  if_freenameindex(all);
  return indexes;
}

}  // namespace postern::tc
