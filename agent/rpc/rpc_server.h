// SPDX-License-Identifier: Apache-2.0
// The gRPC door for the CNI plug-in: rpc.NPBackend on a unix socket, with health (SERVING from the start,
// also while policy is disabled) and reflection. gRPC's threads hand every request to the loop and hold
// no thread while it is worked on. The caller waits 2 s, so within 1.8 s it has an answer: success, the
// error, or what is still missing.
#pragma once

#include <memory>
#include <string>

#include "agent/loop/event_loop.h"
#include "agent/rpc/pod_gate.h"
#include "engine/base/result.h"
#include "engine/base/time.h"

namespace postern::agent {

struct RpcServerOptions {
  std::string socket;          // --grpc-socket
  bool policy_enabled = true;  // false: success at once, without asking the gate
  Duration answer_within = milliseconds(1800);
};

class RpcServer {
 public:
  // Takes the place of a socket that nobody serves any more, never of one that somebody does. Loop and
  // gate outlive the server. Errors: io, naming the socket; unsupported in a build without gRPC.
  static Result<std::unique_ptr<RpcServer>> start(const RpcServerOptions& options, EventLoop& loop,
                                                  PodGate& gate);
  // On the loop's thread. Open requests are answered with an error, and the gate is not called again.
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

 private:
  class Parts;
  explicit RpcServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::agent
