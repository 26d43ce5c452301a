// SPDX-License-Identifier: Apache-2.0
// What it costs to follow the pods of a cluster: seconds and memory until a list of N pods of some ten
// kilobytes each is held, until each of them has changed, and until the same list has come once more.
// The server is a child process on the loopback, without TLS; what is measured is the client.
//
//   watch_bench [PODS [BYTES]]        10000 pods of 10240 bytes
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "agent/kube/api_client.h"
#include "agent/kube/watcher.h"

namespace postern::agent::kube {
namespace {

struct Size {
  int pods = 10'000;
  std::size_t bytes = 10'240;
};

// What a kubelet and controllers write around what policy needs: managedFields above all.
std::string pod_json(int number, int version, std::size_t bytes) {
  const std::string n = std::to_string(number);
  const std::string ip = "10." + std::to_string(number >> 16) + "." + std::to_string(number >> 8 & 255) +
                         "." + std::to_string(number & 255);
  const std::string head =
      R"({"metadata":{"name":"web-6d4cf56db6-)" + n +
      R"(","generateName":"web-6d4cf56db6-","namespace":"team-)" + std::to_string(number % 50) +
      R"(","uid":"0b5a8f6e-9d2c-4b52-8f3e-)" + n + R"(","resourceVersion":")" + std::to_string(version) +
      R"(","creationTimestamp":"2025-01-01T00:00:00Z","labels":{"app":"web","tier":"front",)" +
      R"("pod-template-hash":"6d4cf56db6","version":"v)" + std::to_string(version) +
      R"("},"annotations":{"prometheus.io/scrape":"true"},"managedFields":[)";
  const std::string tail =
      R"(]},"spec":{"containers":[{"name":"web","image":"registry.example/web:1.2.3","ports":[{"name":"http",)"
      R"("containerPort":8080,"protocol":"TCP"}],"env":[{"name":"A","value":"b"}],"resources":{"requests":)"
      R"({"cpu":"100m","memory":"128Mi"}},"volumeMounts":[{"name":"token","mountPath":"/var/run/secrets"}]}],)"
      R"("nodeName":"node-)" +
      std::to_string(number % 500) +
      R"(","serviceAccountName":"web","tolerations":[{"key":"a","operator":"Exists"}]},"status":{"phase":"Running",)"
      R"("conditions":[{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"}],"hostIP":"192.0.2.1",)"
      R"("podIP":")" +
      ip + R"(","podIPs":[{"ip":")" + ip + R"("}]}})";
  const std::string field =
      R"({"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"2025-01-01T00:00:00Z","fieldsType":"FieldsV1",)"
      R"("fieldsV1":{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:status":{}}}}}})";
  std::string fields = field;
  while (head.size() + fields.size() + tail.size() < bytes) fields += "," + field;
  return head + fields + tail;
}

void send_all(int socket, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t sent = send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) _exit(0);
    at += static_cast<std::size_t>(sent);
  }
}

void send_chunk(int socket, const std::string& text) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  send_all(socket, size + text + "\r\n");
}

void serve_list(int socket, const Size& size, int version) {
  send_chunk(socket, R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[)");
  for (int i = 0; i < size.pods; ++i)
    send_chunk(socket, (i == 0 ? "" : ",") + pod_json(i, version, size.bytes));
  send_chunk(socket, "]}");
  send_all(socket, "0\r\n\r\n");
}

// A list; a watch that changes every pod once and then says that it is too old; a list; a watch that waits.
[[noreturn]] void serve(int listener, const Size& size) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int socket = accept(listener, nullptr, nullptr);
  std::string request;
  for (int number = 0;; ++number) {
    char part[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = read(socket, part, sizeof part);
      if (got <= 0) _exit(0);
      request.append(part, static_cast<std::size_t>(got));
    }
    request.clear();
    send_all(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (number % 2 == 0) {
      serve_list(socket, size, number == 0 ? 1 : 2);
    } else if (number == 1) {
      for (int i = 0; i < size.pods; ++i) {
        send_chunk(socket, R"({"type":"MODIFIED","object":)" + pod_json(i, 2, size.bytes) + "}\n");
      }
      send_chunk(socket, R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})");
      send_all(socket, "0\r\n\r\n");
    }
  }
}

// "VmRSS", "VmHWM", in MB.
double memory_mb(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == name + ":" && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

class Meter : public ResourceSink {
 public:
  Meter(EventLoop& loop, const Size& size) : loop_(loop), size_(size), began_(EventLoop::now()) {}

  void changed(ResourceKind /*resource*/, const Changes& changes) override {
    changed_ += changes.changed.size();
  }
  void rejected(ResourceKind /*resource*/, const NamespacedName& key,
                const std::vector<Error>& errors) override {
    std::printf("rejected %s: %s\n", key.to_string().c_str(), errors.front().to_string().c_str());
    std::exit(1);
  }
  void accepted(ResourceKind /*resource*/, const NamespacedName& /*key*/) override {}
  void state(ResourceKind /*resource*/, const ResourceState& state) override {
    if (state.state == WatchState::failing) std::printf("failing: %s\n", state.detail.c_str());
  }

  // Looks now and then whether a phase is over.
  void look(const Watcher& watcher) {
    const auto pods = static_cast<std::size_t>(size_.pods);
    if (phase_ == 0 && changed_ >= pods) report("first list");
    if (phase_ == 1 && changed_ >= 2 * pods) report("each changed");
    const bool again = phase_ == 2 && watcher.last_heard(ResourceKind::pods) - relist_ >= milliseconds(200);
    if (again && EventLoop::now() - watcher.last_heard(ResourceKind::pods) > milliseconds(300))
      report("list again");
    if (phase_ == 3) return loop_.stop();
    loop_.after(milliseconds(2), [this, &watcher] { look(watcher); });
  }

 private:
  void report(const char* what) {
    const double wall = static_cast<double>((EventLoop::now() - began_).ns) / 1e9;
    const double processor = processor_seconds();
    std::printf("%-14s %6.2f s  %6.2f s of processor  held %6.1f MB  peak %6.1f MB\n", what, wall,
                processor - processor_, memory_mb("VmRSS"), memory_mb("VmHWM"));
    began_ = relist_ = EventLoop::now();
    processor_ = processor;
    ++phase_;
  }

  EventLoop& loop_;
  Size size_;
  Instant began_;
  Instant relist_{};
  double processor_ = processor_seconds();
  std::size_t changed_ = 0;
  int phase_ = 0;
};

int run(const Size& size) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::perror("a server on the loopback");
    return 2;
  }
  const pid_t child = fork();
  if (child == 0) serve(listener, size);
  close(listener);

  auto loop = EventLoop::make();
  ClusterConfig config;
  config.server = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  auto api = ApiClient::make(**loop, config);
  if (!api) {
    std::printf("%s\n", api.error().to_string().c_str());
    return 2;
  }
  std::printf("%d pods of %zu bytes, before: %.1f MB\n", size.pods, pod_json(1, 1, size.bytes).size(),
              memory_mb("VmRSS"));
  Meter meter(**loop, size);
  Watcher watcher(**loop, **api, meter, {{ResourceKind::pods}, 1});
  watcher.start();
  meter.look(watcher);
  const auto ran = (*loop)->run();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return ran ? 0 : 2;
}

}  // namespace
}  // namespace postern::agent::kube

int main(int count, char** words) {
  postern::agent::kube::Size size;
  if (count > 1) size.pods = std::atoi(words[1]);
  if (count > 2) size.bytes = static_cast<std::size_t>(std::atoi(words[2]));
  return postern::agent::kube::run(size);
}
