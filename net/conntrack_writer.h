// SPDX-License-Identifier: Apache-2.0
// The kernel's own connection tracking (nf_conntrack), written by ctnetlink: a connection that never was, for
// whoever plays a node that saw it. conntrack_dump.h reads them back. Asking loads what tracks, so nothing that
// runs on a real node does this.
#pragma once

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "net/conntrack_dump.h"
#include "net/netlink.h"

namespace postern {

class ConntrackWriter {
 public:
  // Of the calling thread's network namespace, whatever one it enters later. Errors: io, permission.
  static Result<ConntrackWriter> open();

  // Both tuples have to be there; they need not be each other turned round. It lives as long as no packet of it
  // says otherwise, in whole seconds. False: the namespace has a connection with one of its tuples. Errors:
  // invalid_input, io, permission.
  Result<bool> add(const TrackedConnection& connection, Duration lives);
  // By its original tuple. False: it was not there. Errors: io, permission.
  Result<bool> remove(const TrackedTuple& original);

 private:
  explicit ConntrackWriter(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace postern
