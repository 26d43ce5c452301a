// SPDX-License-Identifier: Apache-2.0
// How long the agent's loop stands still when a pod becomes isolated on a node with many connections: one reading of
// nf_conntrack for the connections of one pod, in a network namespace of its own that holds so many; in CPU time.
// Needs root; no more connections than nf_conntrack_max.
//
//   node_conntrack_bench [CONNECTIONS...]
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <vector>

#include "backends/tc/node_conntrack.h"
#include "net/netlink.h"

namespace {

using namespace postern;
constexpr int kRounds = 9;
constexpr std::uint32_t kPod = 0x0a000001;

void put_tuple(nlmsghdr* header, std::uint16_t attribute, const std::array<std::uint32_t, 2>& addresses,
               const std::array<std::uint16_t, 2>& ports) {
  nlattr* const whole = mnl_attr_nest_start(header, attribute);
  nlattr* const ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put_u32(header, CTA_IP_V4_SRC, htonl(addresses[0]));
  mnl_attr_put_u32(header, CTA_IP_V4_DST, htonl(addresses[1]));
  mnl_attr_nest_end(header, ip);
  nlattr* const proto = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_TCP);
  mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(ports[0]));
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(ports[1]));
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, whole);
}

// An established TCP connection; one in a hundred is the pod's.
Result<void> add(NetlinkSocket& socket, std::uint32_t number) {
  NetlinkRequest request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& fixed = request.fixed<nfgenmsg>();
  fixed.nfgen_family = AF_INET;
  fixed.version = NFNETLINK_V0;
  nlmsghdr* const header = request.header();
  const std::uint32_t source = number % 100 == 0 ? kPod : 0x0a010000 + number / 50000;
  const std::uint32_t destination = 0x0a020000 + number / 50000;
  const auto port = static_cast<std::uint16_t>(1024 + number % 50000);
  put_tuple(header, CTA_TUPLE_ORIG, {source, destination}, {port, 443});
  put_tuple(header, CTA_TUPLE_REPLY, {destination, source}, {443, port});
  mnl_attr_put_u32(header, CTA_STATUS, htonl(IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED));
  mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(86400));
  nlattr* const info = mnl_attr_nest_start(header, CTA_PROTOINFO);
  nlattr* const tcp = mnl_attr_nest_start(header, CTA_PROTOINFO_TCP);
  mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
  mnl_attr_nest_end(header, tcp);
  mnl_attr_nest_end(header, info);
  return socket.change(request, "adding a connection");
}

double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// The median; the kernel's part, which is nearly all of it, runs in the caller's thread.
double milliseconds_of(tc::NodeConntrack node) {
  const std::vector<NodeConnectionsOf> pods{{EndpointId{1}, {IpAddress::v4(kPod)}}};
  std::vector<double> times;
  for (int round = 0; round < kRounds; ++round) {
    const double start = cpu_ms();
    const auto live = node.live(pods);
    times.push_back(cpu_ms() - start);
    if (!live) std::fprintf(stderr, "%s\n", live.error().to_string().c_str());
  }
  std::sort(times.begin(), times.end());
  return times[kRounds / 2];
}

Result<void> measure(NetlinkSocket& socket, std::uint32_t from, std::uint32_t connections) {
  for (std::uint32_t i = from; i < connections; ++i) {
    if (auto added = add(socket, i); !added) return added;
  }
  std::printf("%8u connections: %8.1f ms whole, %8.1f ms by address\n", connections,
              milliseconds_of(tc::NodeConntrack(std::numeric_limits<std::uint32_t>::max())),
              milliseconds_of(tc::NodeConntrack(0)));
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (unshare(CLONE_NEWNET) != 0) {
    std::perror("unshare");
    return 1;
  }
  std::vector<std::uint32_t> sizes{1000, 10000, 100000, 200000};
  if (count > 1) {
    sizes.clear();
    for (int i = 1; i < count; ++i) {
      sizes.push_back(static_cast<std::uint32_t>(std::strtoul(arguments[i], nullptr, 10)));
    }
  }
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  std::uint32_t from = 0;
  for (const auto size : sizes) {
    const auto done = socket ? measure(*socket, from, size) : Result<void>(fail_as(socket));
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
      return 1;
    }
    from = size;
  }
  return 0;
}
