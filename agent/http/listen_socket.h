// SPDX-License-Identifier: Apache-2.0
// A TCP socket that listens where a flag says. Without a host it takes both families, as the Amazon
// agent's endpoints do, so that probes reach it on nodes whose address is an IPv6 one.
#pragma once

#include <cstdint>
#include <string>

#include "agent/settings/bind_address.h"
#include "engine/base/result.h"

namespace postern::agent {

struct ListenSocket {
  int descriptor = -1;  // the caller closes it
  std::uint16_t port = 0;
};

// `flag` is named in errors: io for an address that is taken or is none of this host's, permission for a
// port that needs rights, not_found for a host that has no address.
Result<ListenSocket> open_listen_socket(const BindAddress& address, const std::string& flag);

}  // namespace postern::agent
