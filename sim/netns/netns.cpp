// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/netns.h"

#include <fcntl.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "net/system_error.h"
#include "sim/netns/rtnl.h"

namespace postern::sim {
namespace {

struct Sysctl {
  std::string_view path;  // below /proc/sys/net, or below an interface's own settings
  std::string_view value;
};

// `default` is what interfaces made later start from; `all` is combined with it.
constexpr std::array<Sysctl, 14> kEverywhere{{
    // Until enable_ipv6; off, it also sends no neighbour discovery of its own.
    {"ipv6/conf/all/disable_ipv6", "1"},
    {"ipv6/conf/default/disable_ipv6", "1"},
    {"ipv4/conf/all/rp_filter", "0"},
    {"ipv4/conf/default/rp_filter", "0"},
    // Packets with a forged source must reach the hook under test, not die as martians.
    {"ipv4/conf/all/accept_local", "1"},
    {"ipv4/conf/default/accept_local", "1"},
    {"ipv4/conf/all/send_redirects", "0"},
    {"ipv4/conf/default/send_redirects", "0"},
    {"ipv4/conf/all/accept_redirects", "0"},
    {"ipv4/conf/default/accept_redirects", "0"},
    {"ipv4/icmp_ratelimit", "0"},
    {"ipv4/icmp_echo_ignore_all", "0"},
    // A probe whose answer was dropped is over; its server must not go on answering.
    {"ipv4/tcp_synack_retries", "0"},
    // Source ports of probes are chosen by the rig, and servers listen on any.
    {"ipv4/ip_unprivileged_port_start", "0"},
}};

constexpr std::array<Sysctl, 3> kRouter{{
    {"ipv4/ip_forward", "1"},
    {"ipv4/conf/all/forwarding", "1"},
    {"ipv4/conf/default/forwarding", "1"},
}};

// Below /proc/sys/net/ipv6/conf/<interface>. Switched on last, when the rest is in place.
constexpr std::array<Sysctl, 8> kIpv6Interface{{
    {"accept_dad", "0"},
    {"dad_transmits", "0"},
    {"router_solicitations", "0"},
    {"accept_ra", "0"},
    {"autoconf", "0"},
    {"accept_redirects", "0"},
    {"addr_gen_mode", "1"},  // no link-local address but the one that is added
    {"disable_ipv6", "0"},
}};

// Files of features that this kernel lacks (IPv6 compiled out) are passed over.
Result<void> write_sysctl(const Sysctl& sysctl, const std::string& below = "") {
  const std::string path = "/proc/sys/net/" + below + std::string(sysctl.path);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT) return {};
    return tl::unexpected(system_error("cannot open " + path));
  }
  if (::write(file.get(), sysctl.value.data(), sysctl.value.size()) < 0) {
    return tl::unexpected(system_error("cannot write " + std::string(sysctl.value) + " to " + path));
  }
  return {};
}

Result<void> set_up(NetnsKind kind) {
  // Forwarding first: switching it resets other settings of the interfaces.
  if (kind == NetnsKind::router) {
    for (const auto& sysctl : kRouter) {
      if (auto done = write_sysctl(sysctl); !done) return done;
    }
  }
  for (const auto& sysctl : kEverywhere) {
    if (auto done = write_sysctl(sysctl); !done) return done;
  }
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  return rtnl->set_up(1);  // loopback is always the first
}

}  // namespace

Result<void> enable_ipv6(NetnsKind kind, std::span<const std::string> interfaces) {
  // Forwarding first: switching it resets other settings of the interfaces.
  if (kind == NetnsKind::router) {
    if (auto done = write_sysctl({"ipv6/conf/all/forwarding", "1"}); !done) return done;
  }
  if (auto done = write_sysctl({"ipv6/icmp/ratelimit", "0"}); !done) return done;
  for (const auto& name : interfaces) {
    for (const auto& sysctl : kIpv6Interface) {
      if (auto done = write_sysctl(sysctl, "ipv6/conf/" + name + "/"); !done) return done;
    }
  }
  return {};
}

Result<Netns> Netns::current() {
  Netns here;
  here.fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!here.fd_.valid()) return tl::unexpected(system_error("cannot open /proc/thread-self/ns/net"));
  return here;
}

Result<Netns> Netns::create(NetnsKind kind) {
  auto back = current();
  if (!back) return back;
  if (::unshare(CLONE_NEWNET) != 0) return tl::unexpected(system_error("cannot make a network namespace"));
  const NetnsScope scope(std::move(*back));
  auto made = current();
  if (!made) return made;
  if (auto done = set_up(kind); !done) return fail_as(done);
  return made;
}

Result<NetnsScope> NetnsScope::enter(const Netns& target) {
  auto back = Netns::current();
  if (!back) return fail_as(back);
  if (::setns(target.fd(), CLONE_NEWNET) != 0) {
    return tl::unexpected(system_error("cannot enter a namespace"));
  }
  return NetnsScope(std::move(*back));
}

NetnsScope::~NetnsScope() {
  // Moved-from scopes have nothing to go back to. To stay in the wrong namespace unnoticed would
  // let every later verdict be about the wrong interface.
  if (back_.fd() >= 0 && ::setns(back_.fd(), CLONE_NEWNET) != 0) std::abort();
}

}  // namespace postern::sim
