// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/ipamd_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "network_policy.grpc.pb.h"

namespace postern::agent {
namespace {

Result<std::optional<bool>> read_mode(const std::string& mode) {
  if (mode.empty()) return std::nullopt;
  if (mode == "standard") return false;
  if (mode == "strict") return true;
  return fail(ErrorCode::invalid_input,
              "found NetworkPolicyMode \"" + mode + "\", expected standard, strict or nothing");
}

Result<std::optional<IpAddress>> read_address(const std::string& text, IpFamily family, const char* field) {
  if (text.empty()) return std::nullopt;
  const auto address = IpAddress::parse(text);
  if (!address || address->family() != family) {
    return fail(ErrorCode::invalid_input, std::string("found ") + field + " \"" + text +
                                              "\", expected an IPv" + (family == IpFamily::v4 ? "4" : "6") +
                                              " address or nothing");
  }
  return address;
}

Result<NodeConfig> read_reply(const rpc::NetworkPolicyAgentConfigReply& reply) {
  const auto mode = read_mode(reply.networkpolicymode());
  if (!mode) return fail_as(mode);
  const auto ipv4 = read_address(reply.nodeipv4(), IpFamily::v4, "NodeIPv4");
  if (!ipv4) return fail_as(ipv4);
  const auto ipv6 = read_address(reply.nodeipv6(), IpFamily::v6, "NodeIPv6");
  if (!ipv6) return fail_as(ipv6);
  return NodeConfig{*mode, reply.multinicenabled(), *ipv4, *ipv6, reply.instanceid(), reply.region()};
}

}  // namespace

// A thread of its own that calls, waits and calls again. gRPC's callbacks would do without it, but in this
// version a channel must not end on the thread of one, and nobody can tell which thread lets go of it last.
class IpamdClient::Inquiry : public std::enable_shared_from_this<Inquiry> {
 public:
  Inquiry(EventLoop& loop, const IpamdOptions& options, Answered answered)
      : loop_(loop), options_(options), answered_(std::move(answered)) {}

  void begin() {
    thread_ = std::thread([this] { give(try_all()); });
  }

  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    changed_.notify_all();
    thread_.join();
    answered_ = nullptr;
  }

 private:
  Result<NodeConfig> try_all() {
    auto pause = std::chrono::nanoseconds(options_.first_pause.ns);
    for (int tries = 1;; ++tries) {
      auto result = try_once();
      if (result || result.error().code != ErrorCode::io) return result;
      if (tries > options_.retries) {
        result.error().message += "; tried " + std::to_string(tries) + " times";
        return result;
      }
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, pause, [this] { return ended_; })) return result;
      pause += pause;
    }
  }

  // An io error is worth another try, others are not.
  Result<NodeConfig> try_once() {
    const std::filesystem::path socket(options_.socket);
    std::error_code ignored;
    if (!std::filesystem::exists(socket.parent_path(), ignored)) {
      return fail(ErrorCode::not_found, "no " + socket.parent_path().string() + " on this host");
    }
    // Its folder is there: ipamd, which starts beside the agent, is only not that far yet.
    if (!std::filesystem::exists(socket, ignored)) {
      return fail(ErrorCode::io, "no socket at " + options_.socket);
    }
    rpc::NetworkPolicyAgentConfigReply reply;
    const grpc::Status status = call(reply);
    const std::string from = "ipamd at " + options_.socket + ": ";
    if (!status.ok()) return fail(ErrorCode::io, from + status.error_message());
    auto config = read_reply(reply);
    if (!config) config.error().message = from + config.error().message;
    return config;
  }

  grpc::Status call(rpc::NetworkPolicyAgentConfigReply& reply) {
    grpc::ChannelArguments arguments;
    // Every try connects anew: a channel that is shared would remember that the last one failed and wait.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const auto stub = rpc::ConfigServerBackend::NewStub(
        grpc::CreateCustomChannel("unix:" + options_.socket, grpc::InsecureChannelCredentials(), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(options_.call_limit.ns));
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return grpc::Status::CANCELLED;
      context_ = &context;
    }
    const grpc::Status status = stub->GetNetworkPolicyConfigs(&context, {}, &reply);
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
    return status;
  }

  void give(Result<NodeConfig> result) {
    loop_.post([weak = weak_from_this(), result = std::move(result)]() mutable {
      const auto self = weak.lock();
      if (self == nullptr || !self->answered_) return;
      // It may end the client, and this object with it.
      const auto answered = std::exchange(self->answered_, nullptr);
      answered(std::move(result));
    });
  }

  EventLoop& loop_;
  const IpamdOptions options_;
  Answered answered_;  // of the loop's thread
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;                      // under mutex_, as is what follows
  grpc::ClientContext* context_ = nullptr;  // of the call that runs
};

IpamdClient::IpamdClient(std::shared_ptr<Inquiry> inquiry) : inquiry_(std::move(inquiry)) {}
IpamdClient::~IpamdClient() { inquiry_->end(); }

std::unique_ptr<IpamdClient> IpamdClient::ask(EventLoop& loop, const IpamdOptions& options,
                                              Answered answered) {
  auto inquiry = std::make_shared<Inquiry>(loop, options, std::move(answered));
  inquiry->begin();
  return std::unique_ptr<IpamdClient>(new IpamdClient(std::move(inquiry)));
}

}  // namespace postern::agent
