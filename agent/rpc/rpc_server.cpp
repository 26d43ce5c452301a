// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/rpc/pending_answer.h"
#include "agent/rpc/reflection_v1.h"
#include "agent/rpc/socket_place.h"
#include "network_policy.grpc.pb.h"

namespace postern::agent {
namespace {

constexpr const char* kHealthService = "grpc.health.v1.np-agent";
constexpr int kMostRequestBytes = 64 * 1024;  // a few names

Result<NamespacedName> pod_of(const std::string& ns, const std::string& name) {
  if (ns.empty() || name.empty()) {
    return fail(ErrorCode::invalid_input,
                "found the pod \"" + ns + "/" + name + "\", expected K8S_POD_NAMESPACE and K8S_POD_NAME");
  }
  return NamespacedName{ns, name};
}

Result<PodRequest> read_request(const rpc::EnforceNpRequest& request) {
  const std::string& mode = request.network_policy_mode();
  if (mode != "standard" && mode != "strict") {
    return fail(ErrorCode::invalid_input,
                "found NETWORK_POLICY_MODE \"" + mode + "\", expected standard or strict");
  }
  auto pod = pod_of(request.k8s_pod_namespace(), request.k8s_pod_name());
  if (!pod) return fail_as(pod);
  return PodRequest{std::move(*pod), mode == "strict", request.interfacecount(), nullptr};
}

class Backend final : public rpc::NPBackend::CallbackService {
 public:
  Backend(bool policy_enabled, EventLoop& loop, PodGate& gate, std::shared_ptr<PendingAnswers> answers)
      : policy_enabled_(policy_enabled), loop_(loop), gate_(gate), answers_(std::move(answers)) {}

  grpc::ServerUnaryReactor* EnforceNpToPod(grpc::CallbackServerContext* context,
                                           const rpc::EnforceNpRequest* request,
                                           rpc::EnforceNpReply* reply) override {
    auto* reactor = context->DefaultReactor();
    const auto answer = answers_->add({reactor, [reply] { reply->set_success(true); }}, context->deadline());
    if (!policy_enabled_) {
      answer->give({});
      return reactor;
    }
    auto read = read_request(*request);
    if (!read) {
      answer->give(fail_as(read));
      return reactor;
    }
    read->awaited = answer->awaited();
    hand_over(answer,
              [this, request = std::move(*read)](Done done) { gate_.enforce(request, std::move(done)); });
    return reactor;
  }

  grpc::ServerUnaryReactor* DeletePodNp(grpc::CallbackServerContext* context,
                                        const rpc::DeleteNpRequest* request,
                                        rpc::DeleteNpReply* reply) override {
    auto* reactor = context->DefaultReactor();
    const auto answer = answers_->add({reactor, [reply] { reply->set_success(true); }}, context->deadline());
    if (!policy_enabled_) {
      answer->give({});
      return reactor;
    }
    auto pod = pod_of(request->k8s_pod_namespace(), request->k8s_pod_name());
    if (!pod) {
      answer->give(fail_as(pod));
      return reactor;
    }
    hand_over(answer, [this, pod = std::move(*pod)](Done done) { gate_.remove(pod, std::move(done)); });
    return reactor;
  }

 private:
  // `work` runs on the loop's thread, unless the server has gone by then; the server goes on that thread,
  // so `this` is there while `work` runs.
  void hand_over(const std::shared_ptr<PendingAnswer>& answer, std::function<void(Done)> work) {
    loop_.post([answers = answers_, answer, work = std::move(work)] {
      if (answers->closed()) return;
      answer->awaited()->set("the agent to begin with it");
      work([answer](const Result<void>& result) { answer->give(result); });
    });
  }

  const bool policy_enabled_;
  EventLoop& loop_;
  PodGate& gate_;
  std::shared_ptr<PendingAnswers> answers_;
};

}  // namespace

class RpcServer::Parts {
 public:
  Parts(const RpcServerOptions& options, EventLoop& loop, PodGate& gate)
      : answers_(std::make_shared<PendingAnswers>(std::chrono::nanoseconds(options.answer_within.ns))),
        backend_(options.policy_enabled, loop, gate, answers_) {}

  ~Parts() {
    answers_->close("the agent is ending");
    // Time for those answers to get out. What is left then are streams of health and reflection, which
    // nobody needs to see to their end.
    constexpr auto kGrace = std::chrono::seconds(1);
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kGrace);
  }

  Result<void> start(const std::string& socket) {
    if (auto place = check_socket_place(socket, "--grpc-socket"); !place) return place;
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials(), &bound);
    builder.SetMaxReceiveMessageSize(kMostRequestBytes);
    builder.RegisterService(&backend_);
    builder.RegisterService(&reflection_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || bound == 0) {
      return fail(ErrorCode::io, "--grpc-socket: cannot serve " + socket +
                                     ": expected to be allowed to make a socket in its folder");
    }
    // The CNI plug-in runs as root; nobody else has anything to say here, whatever the umask.
    if (chmod(socket.c_str(), S_IRUSR | S_IWUSR) != 0) {
      return fail(ErrorCode::io, "--grpc-socket: the rights of " + socket + ": " + std::strerror(errno));
    }
    server_->GetHealthCheckService()->SetServingStatus(kHealthService, true);
    return {};
  }

 private:
  std::shared_ptr<PendingAnswers> answers_;
  Backend backend_;
  ReflectionV1 reflection_{{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                            "grpc.reflection.v1alpha.ServerReflection", "rpc.NPBackend"}};
  std::unique_ptr<grpc::Server> server_;
};

RpcServer::RpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
RpcServer::~RpcServer() = default;

Result<std::unique_ptr<RpcServer>> RpcServer::start(const RpcServerOptions& options, EventLoop& loop,
                                                    PodGate& gate) {
  auto parts = std::make_unique<Parts>(options, loop, gate);
  if (auto started = parts->start(options.socket); !started) return fail_as(started);
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(parts)));
}

}  // namespace postern::agent
