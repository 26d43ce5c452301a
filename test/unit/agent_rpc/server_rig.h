// SPDX-License-Identifier: Apache-2.0
// The server on a socket of the test, with a gate that does as the test says, and a client.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/rpc/rpc_server.h"
#include "network_policy.grpc.pb.h"
#include "test/unit/agent_rpc/loop_thread.h"
#include "test/unit/agent_rpc/scratch_folder.h"

namespace postern::agent {

// Everything here is touched by the loop's thread alone; a test looks by LoopThread::on_loop().
class FakeGate final : public PodGate {
 public:
  void enforce(const PodRequest& request, Done done) override {
    enforced.push_back(request);
    on_enforce(request, std::move(done));
  }
  void remove(const NamespacedName& pod, Done done) override {
    removed.push_back(pod);
    on_remove(std::move(done));
  }
  std::function<void(const PodRequest&, Done)> on_enforce = [](const PodRequest&, const Done& done) {
    done({});
  };
  std::function<void(Done)> on_remove = [](const Done& done) { done({}); };
  std::vector<PodRequest> enforced;
  std::vector<NamespacedName> removed;
  std::vector<Done> held;
};

class ServerTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (server != nullptr && running_) thread.on_loop([this] { server.reset(); });
    server.reset();
    thread.stop();
  }
  void start(RpcServerOptions options = {}) {
    serve(std::move(options));
    thread.start();
    running_ = true;
  }
  // With a loop that stands still.
  void serve(RpcServerOptions options = {}) {
    options.socket = socket();
    auto made = RpcServer::start(options, thread.loop(), gate);
    ASSERT_TRUE(made) << made.error().to_string();
    server = std::move(*made);
    channel = make_channel();
    stub = rpc::NPBackend::NewStub(channel);
  }
  void end_server() {
    thread.on_loop([this] { server.reset(); });
  }
  [[nodiscard]] std::string socket() const { return folder / "npa.sock"; }
  [[nodiscard]] std::shared_ptr<grpc::Channel> make_channel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("unix:" + socket(), grpc::InsecureChannelCredentials(), arguments);
  }

  // "Success" or the code's number and the message of what the CNI would see.
  std::string enforce(const std::string& mode = "standard", const std::string& name = "web",
                      int patience_ms = 10'000) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(patience_ms));
    rpc::EnforceNpRequest request;
    request.set_k8s_pod_name(name);
    request.set_k8s_pod_namespace("shop");
    request.set_network_policy_mode(mode);
    request.set_interfacecount(1);
    rpc::EnforceNpReply reply;
    const grpc::Status status = stub->EnforceNpToPod(&context, request, &reply);
    return brief(status, reply.success());
  }
  std::string remove(const std::string& name = "web") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    rpc::DeleteNpRequest request;
    request.set_k8s_pod_name(name);
    request.set_k8s_pod_namespace("shop");
    rpc::DeleteNpReply reply;
    const grpc::Status status = stub->DeletePodNp(&context, request, &reply);
    return brief(status, reply.success());
  }
  static std::string brief(const grpc::Status& status, bool success) {
    if (status.ok()) return success ? "Success" : "no success";
    return std::to_string(status.error_code()) + " " + status.error_message() +
           (success ? " and success" : "");
  }

  ScratchFolder folder;
  FakeGate gate;
  LoopThread thread;
  std::unique_ptr<RpcServer> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<rpc::NPBackend::Stub> stub;

 private:
  bool running_ = false;
};

}  // namespace postern::agent
