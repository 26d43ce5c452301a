// SPDX-License-Identifier: Apache-2.0
// The endpoints over real sockets: pages, families, refusals, clients that misbehave.
#include "agent/http/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "agent/http/listen_socket.h"

namespace postern::agent {
namespace {

// From `source`, an IPv4 address of this host, where one is given.
int connected(const std::string& host, std::uint16_t port, const char* source = nullptr) {
  const bool is_v6 = host.find(':') != std::string::npos;
  const int client = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval limit{5, 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (source != nullptr) {
    inet_pton(AF_INET, source, &v4.sin_addr);
    EXPECT_EQ(bind(client, reinterpret_cast<sockaddr*>(&v4), sizeof v4), 0);
  }
  v4.sin_port = htons(port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  inet_pton(is_v6 ? AF_INET6 : AF_INET, host.c_str(),
            is_v6 ? static_cast<void*>(&v6.sin6_addr) : static_cast<void*>(&v4.sin_addr));
  const int status = is_v6 ? connect(client, reinterpret_cast<sockaddr*>(&v6), sizeof v6)
                           : connect(client, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
  if (status == 0) return client;
  close(client);
  return -1;
}

// The whole answer to `request`, until the server closes; empty when there is no connection.
std::string answer(const std::string& host, std::uint16_t port, const std::string& request) {
  const int client = connected(host, port);
  if (client < 0) return "";
  EXPECT_EQ(send(client, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string text;
  char piece[4096];
  ssize_t count = 0;
  while ((count = recv(client, piece, sizeof piece, 0)) > 0)
    text.append(piece, static_cast<std::size_t>(count));
  close(client);
  return text;
}

std::string get(std::uint16_t port, const std::string& path, const std::string& host = "127.0.0.1") {
  return answer(host, port, "GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
}

// "200 body"
std::string brief(const std::string& response) {
  const auto body = response.find("\r\n\r\n");
  if (response.size() < 12 || body == std::string::npos) return "no answer: " + response;
  return response.substr(9, 3) + " " + response.substr(body + 4);
}

BindAddress loopback(std::uint16_t port = 0) { return {"127.0.0.1", port, false}; }

class HttpServerTest : public ::testing::Test {
 protected:
  void start(const HttpOptions& options) {
    auto made = HttpServer::start(options, state, registry);
    ASSERT_TRUE(made) << made.error().to_string();
    server = std::move(*made);
  }
  HealthState state;
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, health_pages_say_the_state_as_it_is_now) {
  start({.metrics = {}, .health = loopback()});
  const std::uint16_t port = server->health_port();
  EXPECT_EQ(brief(get(port, "/healthz")), "200 ok\n");
  EXPECT_EQ(brief(get(port, "/readyz")), "503 the agent is starting\n");
  state.set_ready();
  EXPECT_EQ(brief(get(port, "/readyz")), "200 ok\n");
  state.set_not_alive("stuck");
  EXPECT_EQ(brief(get(port, "/healthz")), "503 stuck\n");
  EXPECT_EQ(brief(get(port, "/readyz")), "503 stuck\n");
}

TEST_F(HttpServerTest, metrics_are_what_the_registry_holds_now) {
  start({.metrics = loopback(), .health = {}});
  auto& counter = prometheus::BuildCounter()
                      .Name("postern_test_total")
                      .Help("of a test")
                      .Register(*registry)
                      .Add({{"kind", "a"}});
  counter.Increment(3);
  const std::string response = get(server->metrics_port(), "/metrics");
  EXPECT_NE(response.find("Content-Type: text/plain; version=0.0.4"), std::string::npos) << response;
  EXPECT_NE(response.find("# TYPE postern_test_total counter"), std::string::npos) << response;
  EXPECT_NE(response.find("postern_test_total{kind=\"a\"} 3"), std::string::npos) << response;
  counter.Increment();
  EXPECT_NE(get(server->metrics_port(), "/metrics").find("postern_test_total{kind=\"a\"} 4"),
            std::string::npos);
}

TEST_F(HttpServerTest, other_pages_and_methods_are_refused) {
  start({.metrics = loopback(), .health = loopback()});
  const std::uint16_t health = server->health_port();
  EXPECT_EQ(brief(get(health, "/metrics")), "404 no such page\n");
  EXPECT_EQ(brief(get(health, "/")), "404 no such page\n");
  EXPECT_EQ(brief(get(health, "/healthz/x")), "404 no such page\n");
  EXPECT_EQ(brief(get(health, "/healthz?verbose")), "200 ok\n");
  EXPECT_EQ(brief(get(server->metrics_port(), "/healthz")), "404 no such page\n");
  EXPECT_EQ(
      brief(answer("127.0.0.1", health,
                   "POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")),
      "405 only GET and HEAD\n");
  EXPECT_EQ(
      brief(answer("127.0.0.1", health, "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")),
      "200 ");
}

TEST_F(HttpServerTest, without_a_host_both_families_are_served) {
  start({.metrics = {}, .health = {"", 0, false}});
  EXPECT_EQ(brief(get(server->health_port(), "/healthz", "127.0.0.1")), "200 ok\n");
  EXPECT_EQ(brief(get(server->health_port(), "/healthz", "::1")), "200 ok\n");
}

TEST_F(HttpServerTest, a_host_is_served_alone) {
  const struct {
    const char* host;
    const char* reached_by;
    const char* not_reached_by;
  } rows[] = {{"127.0.0.1", "127.0.0.1", "::1"},
              {"::1", "::1", "127.0.0.1"},
              {"127.0.0.2", "127.0.0.2", "127.0.0.1"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.host);
    start({.metrics = {}, .health = {row.host, 0, false}});
    EXPECT_EQ(brief(get(server->health_port(), "/healthz", row.reached_by)), "200 ok\n");
    EXPECT_EQ(get(server->health_port(), "/healthz", row.not_reached_by), "");
    server.reset();
  }
}

TEST_F(HttpServerTest, an_endpoint_that_is_off_listens_nowhere) {
  start({});
  EXPECT_EQ(server->metrics_port(), 0);
  EXPECT_EQ(server->health_port(), 0);
}

TEST_F(HttpServerTest, a_port_that_is_taken_is_named_with_its_flag) {
  auto other = open_listen_socket(loopback(), "another");
  ASSERT_TRUE(other);
  const std::string address = "127.0.0.1:" + std::to_string(other->port);
  const struct {
    const char* flag;
    HttpOptions options;
  } rows[] = {{"--metrics-bind-addr", {.metrics = loopback(other->port), .health = {}}},
              {"--health-probe-bind-addr", {.metrics = loopback(), .health = loopback(other->port)}}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.flag);
    const auto made = HttpServer::start(row.options, state, registry);
    ASSERT_FALSE(made);
    EXPECT_EQ(
        made.error().to_string(),
        std::string(row.flag) + ": cannot listen on " + address +
            ": Address already in use; another process has it (ss -ltnp names it), or another endpoint of "
            "this agent");
  }
  // Someone on one family alone stands in the way of both.
  const auto both = HttpServer::start({.metrics = {"", other->port, false}, .health = {}}, state, registry);
  EXPECT_FALSE(both);
  close(other->descriptor);
}

TEST_F(HttpServerTest, an_address_of_another_host_and_a_name_without_address_are_refused) {
  const auto foreign = HttpServer::start({.metrics = {"192.0.2.1", 0, false}, .health = {}}, state, registry);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().to_string(),
            "--metrics-bind-addr: cannot listen on 192.0.2.1:0: Cannot assign requested address");
  const auto nobody = HttpServer::start({.metrics = {"a..b", 1, false}, .health = {}}, state, registry);
  ASSERT_FALSE(nobody);
  EXPECT_TRUE(nobody.error().to_string().starts_with("--metrics-bind-addr: cannot listen on a..b:1: "));
}

TEST_F(HttpServerTest, a_port_is_free_again_after_the_server) {
  start({.metrics = {}, .health = loopback()});
  const std::uint16_t port = server->health_port();
  EXPECT_EQ(brief(get(port, "/healthz")), "200 ok\n");
  server.reset();
  EXPECT_EQ(get(port, "/healthz"), "");
  start({.metrics = {}, .health = loopback(port)});
  EXPECT_EQ(brief(get(port, "/healthz")), "200 ok\n");
}

TEST_F(HttpServerTest, clients_that_say_nothing_or_nonsense_keep_no_probe_waiting) {
  start({.metrics = {}, .health = loopback()});
  const std::uint16_t port = server->health_port();
  // More than the server takes, all from one address.
  std::vector<int> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(connected("127.0.0.1", port, "127.0.0.2"));
  EXPECT_EQ(brief(get(port, "/healthz")), "200 ok\n");
  EXPECT_NE(answer("127.0.0.1", port, "nonsense\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
  EXPECT_NE(answer("127.0.0.1", port, "GET /" + std::string(100'000, 'a')).substr(0, 12), "HTTP/1.1 200");
  EXPECT_EQ(brief(get(port, "/healthz")), "200 ok\n");
  for (const int client : silent) close(client);
}

TEST_F(HttpServerTest, many_ask_at_once_while_the_state_changes) {
  start({.metrics = loopback(), .health = loopback()});
  state.set_not_ready("off");
  constexpr int kAskers = 8;
  constexpr int kQuestions = 20;
  std::atomic<int> asked = 0;
  std::atomic<int> whole = 0;
  std::vector<std::thread> askers;
  for (int i = 0; i < kAskers; ++i) {
    askers.emplace_back([&] {
      for (int j = 0; j < kQuestions; ++j) {
        const std::string ready = brief(get(server->health_port(), "/readyz"));
        if (ready == "200 ok\n" || ready == "503 off\n") ++whole;
        ++asked;
      }
    });
  }
  while (asked < kAskers * kQuestions) {
    state.set_ready();
    state.set_not_ready("off");
    std::this_thread::yield();
  }
  for (auto& asker : askers) asker.join();
  EXPECT_EQ(whole, kAskers * kQuestions);
}

}  // namespace
}  // namespace postern::agent
