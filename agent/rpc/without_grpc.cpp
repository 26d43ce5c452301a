// SPDX-License-Identifier: Apache-2.0
// The doors of a build without gRPC (POSTERN_BUILD_GRPC=OFF): they refuse, in words.
#include <utility>

#include "agent/rpc/ipamd_client.h"
#include "agent/rpc/rpc_server.h"

namespace postern::agent {

class RpcServer::Parts {};
RpcServer::RpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
RpcServer::~RpcServer() = default;

Result<std::unique_ptr<RpcServer>> RpcServer::start(const RpcServerOptions& options, EventLoop& /*loop*/,
                                                    PodGate& /*gate*/) {
  return fail(ErrorCode::unsupported, "--grpc-socket: cannot serve " + options.socket +
                                          ": this build has no gRPC; expected --grpc-socket= (nothing)");
}

class IpamdClient::Inquiry {};
IpamdClient::IpamdClient(std::shared_ptr<Inquiry> inquiry) : inquiry_(std::move(inquiry)) {}
IpamdClient::~IpamdClient() = default;

std::unique_ptr<IpamdClient> IpamdClient::ask(EventLoop& loop, const IpamdOptions& options,
                                              Answered answered) {
  auto inquiry = std::make_shared<Inquiry>();
  loop.post([options, answered = std::move(answered), weak = std::weak_ptr(inquiry)] {
    if (weak.expired()) return;
    answered(
        fail(ErrorCode::unsupported, "cannot ask ipamd at " + options.socket + ": this build has no gRPC"));
  });
  return std::unique_ptr<IpamdClient>(new IpamdClient(std::move(inquiry)));
}

}  // namespace postern::agent
