// SPDX-License-Identifier: Apache-2.0
// The other end of the agent's sockets, for test programs: calls it as a CNI plug-in does, and answers it as
// the VPC CNI's ipamd does. Results are one line of JSON each.
//
//   cni_client enforce SOCKET NAMESPACE POD MODE [FROM TO ADDRESS DENIED ALLOWED]
//   cni_client delete SOCKET NAMESPACE POD
//   cni_client health SOCKET
//   cni_client services SOCKET               what reflection lists, in both its versions
//   cni_client ipamd SOCKET MODE             serves until it is killed, a line for each call
//
// With FROM and TO, names of network namespaces, a datagram goes from one to ADDRESS in the other, to each of
// two ports, before the call and again at once after its answer; what arrived is told.
#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "health.pb.h"
#include "network_policy.grpc.pb.h"
#include "reflection_v1.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kDialLimit = std::chrono::seconds(2);  // the plug-in's own
constexpr auto kPatience = std::chrono::seconds(10);  // of a caller that has no limit
constexpr int kSoonMs = 2000;                         // a datagram that passes is there by then
constexpr int kStragglersMs = 50;                     // after it, for one that was sent before it

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "cni_client: %s\n", what.c_str());
  std::exit(2);
}

void must(bool holds, const char* what) {
  if (!holds) die(std::string(what) + ": " + std::strerror(errno));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "\"";
}

std::shared_ptr<grpc::Channel> dial(const std::string& socket) {
  auto channel = grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + kDialLimit)) die("nobody serves " + socket);
  return channel;
}

void limit(grpc::ClientContext& context) { context.set_deadline(std::chrono::system_clock::now() + kPatience); }

// A socket lives in the namespace it was made in, wherever its owner goes.
int udp_socket_in(const std::string& netns) {
  const int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  const int other = open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
  must(own >= 0 && other >= 0 && setns(other, CLONE_NEWNET) == 0, netns.c_str());
  const int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  must(made >= 0 && setns(own, CLONE_NEWNET) == 0, "socket");
  close(own);
  close(other);
  return made;
}

// One datagram to each of two ports, and which of them arrived.
class TwoPorts {
 public:
  explicit TwoPorts(char** words) : from_(udp_socket_in(words[0])) {
    for (std::size_t i = 0; i < to_.size(); ++i) {
      auto& to = to_[i];
      to.sin_family = AF_INET;
      to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(words[3 + i])));
      must(inet_pton(AF_INET, words[2], &to.sin_addr) == 1, words[2]);
      at_[i] = udp_socket_in(words[1]);
      must(bind(at_[i], reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "bind");
    }
  }

  // The denied one first, so that it is the first packet of all.
  void send(char mark) {
    for (const auto& to : to_) {
      const auto sent = sendto(from_, &mark, 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      must(sent == 1 || errno == EPERM, "sendto");
    }
  }

  // When the allowed one is there, or nothing came for long, the other one has had its time too.
  std::string arrived(char mark) {
    const bool allowed = comes(1, mark, kSoonMs);
    const bool denied = comes(0, mark, kStragglersMs);
    return std::string("{\"denied\": ") + (denied ? "true" : "false") +
           ", \"allowed\": " + (allowed ? "true" : "false") + "}";
  }

 private:
  bool comes(std::size_t i, char mark, int within_ms) {
    pollfd ready{at_[i], POLLIN, 0};
    while (poll(&ready, 1, within_ms) == 1) {
      char got = 0;
      if (recv(at_[i], &got, 1, 0) == 1 && got == mark) return true;
    }
    return false;
  }

  int from_;
  std::array<int, 2> at_{};
  std::array<sockaddr_in, 2> to_{};
};

void tell(const grpc::Status& status, bool success, Clock::duration took, const std::string& more = "") {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  std::printf("{\"success\": %s, \"error\": %s, \"took_ms\": %lld%s}\n", success ? "true" : "false",
              quoted(status.error_message()).c_str(), static_cast<long long>(ms), more.c_str());
}

void enforce(const std::string& socket, char** words, bool with_packets) {
  std::optional<TwoPorts> ports;
  std::string more;
  if (with_packets) {
    ports.emplace(words + 3);
    ports->send('b');
    more = ", \"before\": " + ports->arrived('b');
  }
  const auto stub = rpc::NPBackend::NewStub(dial(socket));
  grpc::ClientContext context;
  limit(context);
  rpc::EnforceNpRequest request;
  request.set_k8s_pod_namespace(words[0]);
  request.set_k8s_pod_name(words[1]);
  request.set_network_policy_mode(words[2]);
  request.set_interfacecount(1);
  rpc::EnforceNpReply reply;
  const auto began = Clock::now();
  const auto status = stub->EnforceNpToPod(&context, request, &reply);
  if (ports) ports->send('a');
  const auto took = Clock::now() - began;
  if (ports) more += ", \"after\": " + ports->arrived('a');
  tell(status, reply.success(), took, more);
}

void remove(const std::string& socket, char** words) {
  const auto stub = rpc::NPBackend::NewStub(dial(socket));
  grpc::ClientContext context;
  limit(context);
  rpc::DeleteNpRequest request;
  request.set_k8s_pod_namespace(words[0]);
  request.set_k8s_pod_name(words[1]);
  rpc::DeleteNpReply reply;
  const auto began = Clock::now();
  const auto status = stub->DeletePodNp(&context, request, &reply);
  tell(status, reply.success(), Clock::now() - began);
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) die("an answer without bytes");
  std::string bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// One message there and one back, by the method's name alone: the two versions of reflection and the health
// service have no client code here.
template <typename Reply>
Reply ask(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const google::protobuf::Message& request) {
  grpc::GenericStub generic(channel);
  grpc::ClientContext context;
  limit(context);
  grpc::CompletionQueue queue;
  const auto wait = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = generic.PrepareCall(&context, method, &queue);
  const grpc::Slice slice(request.SerializeAsString());
  grpc::ByteBuffer got;
  Reply reply;
  call->StartCall(nullptr);
  bool ok = wait();
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  ok = wait() && ok;
  call->Read(&got, nullptr);
  ok = wait() && ok && reply.ParseFromString(bytes_of(got));
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  if (!ok || !status.ok()) die(method + ": " + status.error_message());
  return reply;
}

void health(const std::string& socket) {
  using grpc::health::v1::HealthCheckResponse;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("grpc.health.v1.np-agent");
  const auto reply = ask<HealthCheckResponse>(dial(socket), "/grpc.health.v1.Health/Check", request);
  std::printf("%s\n", quoted(HealthCheckResponse::ServingStatus_Name(reply.status())).c_str());
}

void services(const std::string& socket) {
  const auto channel = dial(socket);
  grpc::reflection::v1::ServerReflectionRequest request;
  request.set_list_services("");
  std::string text;
  for (const std::string version : {"v1", "v1alpha"}) {
    const auto reply = ask<grpc::reflection::v1::ServerReflectionResponse>(
        channel, "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo", request);
    std::set<std::string> names;
    for (const auto& service : reply.list_services_response().service()) names.insert(service.name());
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ", ") + quoted(name);
    text += (text.empty() ? "" : ", ") + quoted(version) + ": [" + list + "]";
  }
  std::printf("{%s}\n", text.c_str());
}

class Ipamd final : public rpc::ConfigServerBackend::Service {
 public:
  explicit Ipamd(std::string mode) : mode_(std::move(mode)) {}
  grpc::Status GetNetworkPolicyConfigs(grpc::ServerContext*, const google::protobuf::Empty*,
                                       rpc::NetworkPolicyAgentConfigReply* reply) override {
    reply->set_networkpolicymode(mode_);
    reply->set_nodeipv4("192.0.2.1");
    std::printf("{\"asked\": true}\n");
    std::fflush(stdout);
    return grpc::Status::OK;
  }

 private:
  std::string mode_;
};

void serve_ipamd(const std::string& socket, const std::string& mode) {
  Ipamd service(mode);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) die("cannot serve " + socket);
  server->Wait();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  const std::string socket = argc > 2 ? argv[2] : "";
  if (what == "enforce" && (argc == 6 || argc == 11)) {
    enforce(socket, argv + 3, argc == 11);
  } else if (what == "delete" && argc == 5) {
    remove(socket, argv + 3);
  } else if (what == "health" && argc == 3) {
    health(socket);
  } else if (what == "services" && argc == 3) {
    services(socket);
  } else if (what == "ipamd" && argc == 4) {
    serve_ipamd(socket, argv[3]);
  } else {
    die("found no such call, expected enforce, delete, health, services or ipamd with a socket");
  }
  return 0;
}
