// SPDX-License-Identifier: Apache-2.0
#include "agent/interfaces/host_network.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "net/fd.h"
#include "net/system_error.h"

namespace postern::agent {
namespace {

// A dump that changes overtake is asked for again; a machine on which that never ends is not well.
constexpr int kDumpAttempts = 50;
// The same for a socket that overflows while everything is being read.
constexpr int kResyncAttempts = 10;
// One call takes in so many datagrams at most, so that a storm cannot keep the caller.
constexpr int kDatagramsAtOnce = 100'000;

constexpr unsigned kGroups[] = {RTNLGRP_LINK,        RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEIGH};

// The fixed part differs by type; every kernel with strict checking wants it whole and zero elsewhere.
void fill_dump(NetlinkRequest& request, std::uint16_t type, int family) {
  const auto of = static_cast<unsigned char>(family);
  switch (type) {
    case RTM_GETLINK: request.fixed<ifinfomsg>().ifi_family = of; return;
    case RTM_GETADDR: request.fixed<ifaddrmsg>().ifa_family = of; return;
    case RTM_GETROUTE: request.fixed<rtmsg>().rtm_family = of; return;
    default: request.fixed<ndmsg>().ndm_family = of; return;
  }
}

// 0, or the kernel's refusal.
Result<int> dump_until_whole(NetlinkSocket& socket, NetlinkRequest& request, const NetlinkSocket::Take& take) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    const auto answer = socket.exchange(request, take);
    if (!answer || *answer != EINTR) return answer;
  }
  return fail(ErrorCode::io, "the network changes faster than the kernel can list it");
}

}  // namespace

Result<HostNetwork> HostNetwork::open(const HostNetworkOptions& options) {
  auto announcements = NetlinkSocket::open();
  if (!announcements) return fail_as(announcements);
  auto questions = NetlinkSocket::open();
  if (!questions) return fail_as(questions);
  HostNetwork made(std::move(*announcements), std::move(*questions));
  if (auto ready = made.prepare(options); !ready) return fail_as(ready);
  if (auto drained = made.drain(); !drained) return fail_as(drained);
  return made;
}

Result<void> HostNetwork::prepare(const HostNetworkOptions& options) {
  const int bytes = options.receive_buffer_bytes;
  if (::setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    // Without CAP_NET_ADMIN as much as anybody may have.
    ::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  // Without strict checking a kernel would overlook whose addresses are asked for, and tell its own.
  const int on = 1;
  if (::setsockopt(questions_.fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) != 0) {
    strict_ = false;
    far_refusal_ = "the kernel is older than 4.20";
  }
  struct stat own {};
  if (::stat("/proc/thread-self/ns/net", &own) == 0) own_namespace_ = {own.st_dev, own.st_ino};
  for (const unsigned group : kGroups) {
    if (auto joined = announcements_.join(group); !joined) return joined;
  }
  return {};
}

Result<NetworkChanges> HostNetwork::drain() {
  bool resynced = false;
  const bool first = picture().links.empty();
  for (int attempt = 0; attempt < kResyncAttempts; ++attempt) {
    if (!complete_) {
      if (auto done = resync(); !done) return fail_as(done);
      resynced = true;
    }
    // What was announced while it was being read comes now, and settles what it overlapped with.
    if (auto done = take_in(); !done) return fail_as(done);
    if (!complete_) continue;
    if (auto done = read_routes_again(); !done) return fail_as(done);
    if (auto done = read_touched(); !done) return fail_as(done);
    NetworkChanges changes = keeper_.take_changes();
    changes.resynced = resynced && !first;
    return changes;
  }
  return fail(ErrorCode::io, "the kernel announces changes of the network faster than they can be read");
}

// Until nothing is left, or something is lost.
Result<void> HostNetwork::take_in() {
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    const auto received = announcements_.receive([this](const nlmsghdr& message) { keeper_.apply(message); });
    if (!received) {
      complete_ = false;
      return fail_as(received);
    }
    if (*received == NetlinkSocket::Received::lost) complete_ = false;
    if (*received == NetlinkSocket::Received::nothing) return {};
  }
  return {};
}

Result<void> HostNetwork::resync() {
  PictureKeeper fresh;
  if (auto done = dump(RTM_GETLINK, AF_UNSPEC, fresh); !done) return done;
  for (const int family : {AF_INET, AF_INET6}) {
    if (auto done = dump(RTM_GETADDR, family, fresh); !done) return done;
  }
  if (auto done = dump_routes(fresh); !done) return done;
  for (const int family : {AF_INET, AF_INET6, AF_BRIDGE}) {
    if (auto done = dump(RTM_GETNEIGH, family, fresh); !done) return done;
  }
  keeper_.take_all_of(fresh);
  if (auto done = read_all_far(); !done) return done;
  complete_ = true;
  return {};
}

Result<void> HostNetwork::dump(std::uint16_t type, int family, PictureKeeper& into) {
  NetlinkRequest request(type, NLM_F_DUMP);
  fill_dump(request, type, family);
  const auto answer = dump_until_whole(questions_, request, [&](const nlmsghdr& m) { into.apply(m); });
  if (!answer) return fail_as(answer);
  // A kernel without IPv6, or without bridges, has nothing to list.
  if (*answer == EOPNOTSUPP || *answer == EAFNOSUPPORT) return {};
  if (*answer != 0) {
    return tl::unexpected(system_error("cannot list the host's network (request " + std::to_string(type) +
                                           ", family " + std::to_string(family) + ")", *answer));
  }
  return {};
}

Result<void> HostNetwork::dump_routes(PictureKeeper& into) {
  for (const int family : {AF_INET, AF_INET6}) {
    if (auto done = dump(RTM_GETROUTE, family, into); !done) return done;
  }
  return {};
}

Result<void> HostNetwork::read_routes_again() {
  if (!keeper_.routes_doubtful()) return {};
  PictureKeeper fresh;
  if (auto done = dump_routes(fresh); !done) {
    complete_ = false;
    return done;
  }
  keeper_.take_routes_of(fresh);
  return {};
}

Result<void> HostNetwork::read_touched() {
  for (const NetnsId netns_id : keeper_.take_touched()) {
    if (auto done = read_far(netns_id); !done) {
      complete_ = false;
      return done;
    }
  }
  return {};
}

Result<void> HostNetwork::read_all_far() {
  std::set<NetnsId> all = keeper_.take_touched();
  for (const auto& [end, addresses] : picture().far_addresses) all.insert(end.netns_id);
  for (const auto& [ifindex, link] : picture().links) {
    if (link.netns_id) all.insert(*link.netns_id);
  }
  if (strict_) far_refusal_.clear();
  for (const NetnsId netns_id : all) {
    if (auto done = read_far(netns_id); !done) return done;
  }
  return {};
}

Result<void> HostNetwork::read_far(NetnsId netns_id) {
  if (!strict_) return {};
  FarAddresses found;
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
  request.fixed<ifaddrmsg>();
  request.put(IFA_TARGET_NETNSID, static_cast<std::uint32_t>(netns_id));
  const auto answer = dump_until_whole(questions_, request, [&](const nlmsghdr& message) {
    // Said again in the answer: otherwise it is about another namespace.
    const NetlinkAttributes attributes(message, sizeof(ifaddrmsg));
    if (attributes.number(IFA_TARGET_NETNSID) == static_cast<std::uint32_t>(netns_id)) {
      read_far_address(message, netns_id, found);
    }
  });
  if (!answer) return fail_as(answer);
  if (*answer == EPERM || *answer == EACCES) {
    far_refusal_ = std::strerror(*answer);
  } else if (*answer != 0) {
    found.clear();  // there is no such namespace any more
  }
  keeper_.set_far_addresses(netns_id, std::move(found));
  return {};
}

Result<NetworkChanges> HostNetwork::look_again(std::span<const IpAddress> unheard) {
  if (auto done = read_all_far(); !done) {
    complete_ = false;
    return fail_as(done);
  }
  for (const auto& address : unheard) {
    const auto asked = provoke_neighbour(address);
    // Its route may have gone since.
    if (!asked && asked.error().code != ErrorCode::not_found) return fail_as(asked);
  }
  return drain();
}

Result<NetnsId> HostNetwork::netns_id(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    Error error = system_error("cannot open the network namespace " + path);
    if (errno == ENOENT) error.code = ErrorCode::not_found;
    return tl::unexpected(std::move(error));
  }
  struct stat theirs {};
  if (::fstat(file.get(), &theirs) == 0 && own_namespace_ == std::pair{theirs.st_dev, theirs.st_ino}) {
    return fail(ErrorCode::invalid_input, path + " is the host's own network namespace");
  }
  const auto refused = [&path](int number) {
    Error error = system_error(path + " has no netns id", number);
    if (number == EINVAL) error.code = ErrorCode::invalid_input;
    return tl::unexpected(std::move(error));
  };
  std::optional<NetnsId> known;
  for (int attempt = 0; attempt < 2; ++attempt) {
    NetlinkRequest question(RTM_GETNSID, 0);
    question.fixed<rtgenmsg>();
    question.put(NETNSA_FD, static_cast<std::uint32_t>(file.get()));
    const auto answer = questions_.exchange(question, [&known](const nlmsghdr& message) {
      const auto number = NetlinkAttributes(message, sizeof(rtgenmsg)).number(NETNSA_NSID);
      if (number && static_cast<NetnsId>(*number) >= 0) known = static_cast<NetnsId>(*number);
    });
    if (!answer) return fail_as(answer);
    if (*answer != 0) return refused(*answer);
    if (known) return *known;
    // Nobody has needed one so far.
    NetlinkRequest request(RTM_NEWNSID, NLM_F_ACK);
    request.fixed<rtgenmsg>();
    request.put(NETNSA_FD, static_cast<std::uint32_t>(file.get()));
    request.put(NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED));
    const auto given = questions_.exchange(request);
    if (!given) return fail_as(given);
    if (*given != 0 && *given != EEXIST) return refused(*given);
  }
  return fail(ErrorCode::io, path + " has no netns id, though it was given one");
}

std::uint32_t HostNetwork::bridge_to(const IpAddress& address) const {
  for (int length = address.bits(); length >= 0; --length) {
    const auto routes = picture().routes.find(Cidr(address, length));
    if (routes == picture().routes.end()) continue;
    for (const auto& route : routes->second) {
      const auto link = picture().links.find(route.ifindex);
      if (link != picture().links.end() && link->second.kind == "bridge") return route.ifindex;
    }
  }
  return 0;
}

Result<HostNetwork::Neighbour> HostNetwork::neighbour_at(std::uint32_t ifindex, const IpAddress& address) {
  NetlinkRequest question(RTM_GETNEIGH, 0);
  auto& asked = question.fixed<ndmsg>();
  asked.ndm_family = netlink_family(address);
  asked.ndm_ifindex = static_cast<int>(ifindex);
  question.put(NDA_DST, address);
  Neighbour found;
  const auto answer = questions_.exchange(question, [&found](const nlmsghdr& message) {
    const auto* info = netlink_fixed<ndmsg>(message);
    if (info == nullptr) return;
    found.state = info->ndm_state;
    found.mac = NetlinkAttributes(message, sizeof *info).mac(NDA_LLADDR);
  });
  if (!answer) return fail_as(answer);
  return found;  // a refusal says that there is none
}

Result<void> HostNetwork::provoke_neighbour(const IpAddress& address) {
  const std::uint32_t bridge = bridge_to(address);
  if (bridge == 0) return fail(ErrorCode::not_found, "no route to " + address.to_string() + " leads to a bridge");
  const auto known = neighbour_at(bridge, address);
  if (!known) return fail_as(known);
  // One that was set by hand is left so. One that is unknown is looked for as if a packet were to go
  // there. One that is known has to show that it is still there, at once: the kernel would not ask by
  // itself for as long as it believes it.
  const bool believed = (known->state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY)) != 0 && known->mac;
  NetlinkRequest request(RTM_NEWNEIGH, NLM_F_ACK | (believed ? NLM_F_REPLACE : NLM_F_CREATE));
  auto& info = request.fixed<ndmsg>();
  info.ndm_family = netlink_family(address);
  info.ndm_ifindex = static_cast<int>(bridge);
  if (believed) info.ndm_state = NUD_PROBE;
  else info.ndm_flags = NTF_USE;
  request.put(NDA_DST, address);
  if (believed) request.put(NDA_LLADDR, *known->mac);
  // Gone between the question and this: nothing left to confirm, and the next look finds it unknown.
  return questions_.change(request, "cannot have the kernel look for neighbour " + address.to_string(),
                           believed ? ENOENT : 0);
}

}  // namespace postern::agent
