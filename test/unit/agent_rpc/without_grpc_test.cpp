// SPDX-License-Identifier: Apache-2.0
// A build without gRPC says so, instead of serving nobody.
#include <gtest/gtest.h>

#include "agent/rpc/ipamd_client.h"
#include "agent/rpc/rpc_server.h"

namespace postern::agent {
namespace {

class NoGate final : public PodGate {
 public:
  void enforce(const PodRequest&, Done) override {}
  void remove(const NamespacedName&, Done) override {}
};

TEST(WithoutGrpc, the_server_refuses_to_start) {
  const auto loop = EventLoop::make();
  ASSERT_TRUE(loop);
  NoGate gate;
  const auto server = RpcServer::start({.socket = "/tmp/a.sock"}, **loop, gate);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::unsupported);
  EXPECT_EQ(
      server.error().to_string(),
      "--grpc-socket: cannot serve /tmp/a.sock: this build has no gRPC; expected --grpc-socket= (nothing)");
}

TEST(WithoutGrpc, ipamd_is_not_asked) {
  const auto loop = EventLoop::make();
  ASSERT_TRUE(loop);
  std::string said;
  const auto client =
      IpamdClient::ask(**loop, {.socket = "/tmp/a.sock"}, [&](const Result<NodeConfig>& result) {
        said = result ? "configured" : result.error().to_string();
        (*loop)->stop();
      });
  EXPECT_EQ(said, "");
  ASSERT_TRUE((*loop)->run());
  EXPECT_EQ(said, "cannot ask ipamd at /tmp/a.sock: this build has no gRPC");
}

}  // namespace
}  // namespace postern::agent
