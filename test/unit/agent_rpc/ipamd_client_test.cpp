// SPDX-License-Identifier: Apache-2.0
// ipamd's answers, its absence, its slowness and its nonsense, told by a double on a socket.
#include "agent/rpc/ipamd_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "network_policy.grpc.pb.h"
#include "test/unit/agent_rpc/loop_thread.h"
#include "test/unit/agent_rpc/scratch_folder.h"

namespace postern::agent {
namespace {

class IpamdDouble final : public rpc::ConfigServerBackend::Service {
 public:
  explicit IpamdDouble(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~IpamdDouble() override {
    ending_ = true;
    server_->Shutdown(std::chrono::system_clock::now());
  }
  grpc::Status GetNetworkPolicyConfigs(grpc::ServerContext* context, const google::protobuf::Empty*,
                                       rpc::NetworkPolicyAgentConfigReply* answer) override {
    ++calls;
    while (hangs && !ending_ && !context->IsCancelled())
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (refusals-- > 0) return {grpc::StatusCode::UNAVAILABLE, "not up yet"};
    *answer = reply;
    return grpc::Status::OK;
  }
  std::atomic<int> calls = 0;
  std::atomic<int> refusals = 0;
  std::atomic<bool> hangs = false;
  rpc::NetworkPolicyAgentConfigReply reply;

 private:
  std::atomic<bool> ending_ = false;
  std::unique_ptr<grpc::Server> server_;
};

class IpamdClientTest : public ::testing::Test {
 protected:
  void SetUp() override { thread.start(); }
  [[nodiscard]] IpamdOptions quick() const {
    return {.socket = folder / "ipamd.sock",
            .call_limit = seconds(5),
            .retries = 5,
            .first_pause = milliseconds(10)};
  }
  Result<NodeConfig> ask(const IpamdOptions& options) {
    std::promise<Result<NodeConfig>> promise;
    std::unique_ptr<IpamdClient> client;
    thread.on_loop([&] {
      client = IpamdClient::ask(thread.loop(), options,
                                [&](Result<NodeConfig> result) { promise.set_value(std::move(result)); });
    });
    auto result = promise.get_future().get();
    thread.on_loop([&] { client.reset(); });
    return result;
  }
  static std::string error_of(const Result<NodeConfig>& result) {
    return result ? "no error" : result.error().to_string();
  }
  ScratchFolder folder;
  LoopThread thread;
};

TEST_F(IpamdClientTest, what_ipamd_says_is_the_nodes_configuration) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  ipamd.reply.set_networkpolicymode("strict");
  ipamd.reply.set_multinicenabled(true);
  ipamd.reply.set_nodeipv4("10.0.0.1");
  ipamd.reply.set_nodeipv6("2001:db8::1");
  ipamd.reply.set_instanceid("i-0");
  ipamd.reply.set_region("eu-central-1");
  const auto config = ask(quick());
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->strict, true);
  EXPECT_TRUE(config->multi_nic);
  EXPECT_EQ(config->ipv4, IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(config->ipv6, IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(config->instance_id, "i-0");
  EXPECT_EQ(config->region, "eu-central-1");
}

TEST_F(IpamdClientTest, what_ipamd_leaves_out_is_absent) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  const auto nothing = ask(quick());
  ASSERT_TRUE(nothing) << nothing.error().to_string();
  EXPECT_EQ(nothing->strict, std::nullopt);
  EXPECT_FALSE(nothing->multi_nic);
  EXPECT_EQ(nothing->ipv4, std::nullopt);
  EXPECT_EQ(nothing->ipv6, std::nullopt);
  ipamd.reply.set_networkpolicymode("standard");
  EXPECT_EQ(ask(quick())->strict, false);
}

TEST_F(IpamdClientTest, an_answer_that_makes_no_sense_is_an_error_and_not_asked_for_again) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  const std::string place = "ipamd at " + folder.path() + "/ipamd.sock: ";
  ipamd.reply.set_networkpolicymode("Strict");
  EXPECT_EQ(error_of(ask(quick())),
            place + "found NetworkPolicyMode \"Strict\", expected standard, strict or nothing");
  ipamd.reply.Clear();
  ipamd.reply.set_nodeipv4("2001:db8::1");
  EXPECT_EQ(error_of(ask(quick())),
            place + "found NodeIPv4 \"2001:db8::1\", expected an IPv4 address or nothing");
  ipamd.reply.Clear();
  ipamd.reply.set_nodeipv6("x");
  EXPECT_EQ(error_of(ask(quick())), place + "found NodeIPv6 \"x\", expected an IPv6 address or nothing");
  EXPECT_EQ(ipamd.calls, 3);
}

TEST_F(IpamdClientTest, a_host_without_the_folder_has_no_ipamd_and_that_is_told_at_once) {
  IpamdOptions options = quick();
  options.socket = folder / "none/ipamd.sock";
  options.first_pause = seconds(60);
  const auto config = ask(options);
  EXPECT_EQ(error_of(config), "no " + folder.path() + "/none on this host");
  EXPECT_EQ(config.error().code, ErrorCode::not_found);
}

TEST_F(IpamdClientTest, an_ipamd_that_comes_later_is_waited_for) {
  IpamdOptions options = quick();
  options.first_pause = milliseconds(100);
  std::unique_ptr<IpamdDouble> ipamd;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    ipamd = std::make_unique<IpamdDouble>(folder / "ipamd.sock");
  });
  const auto config = ask(options);
  later.join();
  EXPECT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(ipamd->calls, 1);
}

TEST_F(IpamdClientTest, an_ipamd_that_never_comes_is_an_error_after_the_last_try) {
  IpamdOptions options = quick();
  options.first_pause = milliseconds(1);
  const auto config = ask(options);
  EXPECT_EQ(error_of(config), "no socket at " + options.socket + "; tried 6 times");
  EXPECT_EQ(config.error().code, ErrorCode::io);
}

TEST_F(IpamdClientTest, refusals_are_tried_again_five_times_and_no_more) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  IpamdOptions options = quick();
  options.first_pause = milliseconds(1);
  ipamd.refusals = 5;
  EXPECT_TRUE(ask(options));
  EXPECT_EQ(ipamd.calls, 6);
  ipamd.refusals = 6;
  EXPECT_EQ(error_of(ask(options)), "ipamd at " + options.socket + ": not up yet; tried 6 times");
  EXPECT_EQ(ipamd.calls, 12);
}

TEST_F(IpamdClientTest, a_socket_that_nobody_serves_any_more_is_tried_again) {
  IpamdOptions options = quick();
  options.first_pause = milliseconds(50);
  // What a process leaves that is killed.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(options.socket.begin(), options.socket.end(), address.sun_path);
  const int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(left, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(left);
  ASSERT_TRUE(std::filesystem::exists(options.socket));
  std::unique_ptr<IpamdDouble> ipamd;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ipamd = std::make_unique<IpamdDouble>(options.socket);
  });
  const auto config = ask(options);
  later.join();
  EXPECT_TRUE(config) << config.error().to_string();
}

TEST_F(IpamdClientTest, an_ipamd_that_hangs_is_given_up_at_the_limit_of_each_call) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  ipamd.hangs = true;
  IpamdOptions options = quick();
  options.call_limit = milliseconds(100);
  options.retries = 1;
  EXPECT_EQ(error_of(ask(options)), "ipamd at " + options.socket + ": Deadline Exceeded; tried 2 times");
}

TEST_F(IpamdClientTest, a_client_that_is_gone_calls_nobody) {
  IpamdDouble ipamd(folder / "ipamd.sock");
  ipamd.hangs = true;
  bool called = false;
  std::unique_ptr<IpamdClient> client;
  thread.on_loop([&] {
    client = IpamdClient::ask(thread.loop(), quick(), [&](const Result<NodeConfig>&) { called = true; });
  });
  while (ipamd.calls == 0) std::this_thread::yield();
  thread.on_loop([&] { client.reset(); });
  ipamd.hangs = false;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  thread.on_loop([] {});
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace postern::agent
