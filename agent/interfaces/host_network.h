// SPDX-License-Identifier: Apache-2.0
// Keeps a NetworkPicture of the host's namespace current: reads everything once, then follows what the
// kernel announces. Addresses in pods' namespaces are read from here, by netns id; no namespace is ever
// entered. CAP_NET_ADMIN is all that it needs, and only for what lies behind veths and for the larger
// receive buffer; without it the picture has no far addresses and far_refusal() says so.
//
// What is not announced is the change of an address in a pod: whoever does not find a pod calls
// look_again() now and then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "agent/interfaces/locate.h"
#include "agent/interfaces/picture_keeper.h"
#include "engine/base/result.h"
#include "net/netlink.h"

namespace postern::agent {

struct HostNetworkOptions {
  int receive_buffer_bytes = 4 << 20;
};

class HostNetwork {
 public:
  // Of the namespace the calling thread is in. Errors: io, permission.
  static Result<HostNetwork> open(const HostNetworkOptions& options = {});

  [[nodiscard]] const NetworkPicture& picture() const { return keeper_.picture(); }
  // Readable when drain() has something to do. The same one for good.
  [[nodiscard]] int fd() const { return announcements_.fd(); }
  // Takes in what was announced, without waiting for more. When the kernel had to drop announcements,
  // everything is read again, and the picture is complete all the same. Errors: io; the next call begins
  // with reading everything then.
  Result<NetworkChanges> drain();
  // For pods that were not found, or by one way only: reads the addresses behind all veths again, asks
  // bridges for the MACs of `unheard` (InterfaceMatch has them), and drains. What neighbours answer comes
  // later, at fd().
  Result<NetworkChanges> look_again(std::span<const IpAddress> unheard);

  // The number of the namespace that a file such as /var/run/netns/X names; it is given one if it has
  // none. Errors: not_found (no such file), invalid_input (it names no network namespace, or the host's
  // own), permission, io.
  Result<NetnsId> netns_id(const std::string& path);
  // Makes the kernel ask for the MAC of an address on a bridge, by ARP or neighbour discovery, also when it
  // believes to know it: the answer is what the bridge learns the port from. Returns at once; the answer
  // comes at fd(). Errors: not_found (no route to it leads to a bridge), permission, io.
  Result<void> provoke_neighbour(const IpAddress& address);

  // Why addresses behind veths, or behind some of them, cannot be read; empty: they can.
  [[nodiscard]] const std::string& far_refusal() const { return far_refusal_; }

 private:
  HostNetwork(NetlinkSocket announcements, NetlinkSocket questions)
      : announcements_(std::move(announcements)), questions_(std::move(questions)) {}
  Result<void> prepare(const HostNetworkOptions& options);
  Result<void> take_in();
  Result<void> resync();
  Result<void> read_routes_again();
  Result<void> read_touched();
  Result<void> read_far(NetnsId netns_id);
  Result<void> read_all_far();
  struct Neighbour {
    int state = 0;  // NUD_*; 0: there is none
    std::optional<Mac> mac;
  };
  Result<Neighbour> neighbour_at(std::uint32_t ifindex, const IpAddress& address);
  // 0: no route to it leads to a bridge.
  [[nodiscard]] std::uint32_t bridge_to(const IpAddress& address) const;
  Result<void> dump(std::uint16_t type, int family, PictureKeeper& into);
  Result<void> dump_routes(PictureKeeper& into);

  NetlinkSocket announcements_;
  NetlinkSocket questions_;
  PictureKeeper keeper_;
  std::pair<dev_t, ino_t> own_namespace_{};
  bool complete_ = false;  // nothing was missed since everything was read
  bool strict_ = true;     // the kernel looks at every part of a question
  std::string far_refusal_;
};

}  // namespace postern::agent
