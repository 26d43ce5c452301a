// SPDX-License-Identifier: Apache-2.0
// The whole client over real connections: what a server holds is what the watcher holds, through
// refusals, renewed tokens and servers that go and come back.
#include "agent/kube/watcher.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "agent/kube/api_client.h"
#include "test/unit/agent_kube/api_texts.h"
#include "test/unit/agent_kube/recording_sink.h"
#include "test/unit/agent_kube/scripted_server.h"

namespace postern::agent::kube {
namespace {

using Lines = std::vector<std::string>;
const char* const kPods = "/api/v1/pods";

class WatcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/postern-kube-watcher-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    root = folder;
    write_token("good");
    const auto& pki = Certificates::get();
    server = std::make_unique<ScriptedServer>(arguments());
    loop = std::move(*EventLoop::make());
    config.origin = "the test";
    config.server = "https://127.0.0.1:" + std::to_string(server->port());
    config.authority = {pki.path("ca.crt"), "", "certificate-authority"};
    config.token = {root + "/token", "", "tokenFile"};
  }
  void TearDown() override {
    watcher.reset();
    api.reset();
    std::filesystem::remove_all(root);
  }
  static std::vector<std::string> arguments(int port = 0) {
    const auto& pki = Certificates::get();
    return {std::to_string(port), pki.path("server.crt"), pki.path("server.key")};
  }
  void write_token(const std::string& token) const { std::ofstream(root + "/token") << token << "\n"; }

  void begin(std::vector<ResourceKind> resources) {
    auto made = ApiClient::make(*loop, config);
    ASSERT_TRUE(made) << made.error().to_string();
    api = std::move(*made);
    watcher = std::make_unique<Watcher>(*loop, *api, sink, Watcher::Options{std::move(resources), 7});
    watcher->start();
  }
  // Runs the loop until it holds; every test waits for something it can see.
  void until(const std::function<bool()>& holds) {
    const Instant end = EventLoop::now() + seconds(15);
    std::function<void()> look = [&] {
      if (holds()) return loop->stop();
      if (EventLoop::now() > end) {
        ADD_FAILURE() << "it did not come, but:";
        for (const auto& line : sink.lines) ADD_FAILURE() << line;
        return loop->stop();
      }
      loop->after(milliseconds(5), look);
    };
    loop->after({}, look);
    ASSERT_TRUE(loop->run());
  }
  void until_told(const Lines& lines) {
    until([&] { return sink.lines.size() >= lines.size(); });
    EXPECT_EQ(sink.take(), lines);
  }
  void until_watched(ScriptedServer& which) {
    until([&] { return which.tell(std::string("watches ") + kPods) == "1"; });
  }
  void until_watched() { until_watched(*server); }
  static void put_pod(ScriptedServer& which, const std::string& name, const std::string& ip = "10.0.0.1") {
    EXPECT_EQ(which.tell(std::string("put ") + kPods + " " + name + " " + pod_json("a", name, "0", ip)), "ok");
  }
  void put(const std::string& name, const std::string& ip = "10.0.0.1") { put_pod(*server, name, ip); }

  std::string root;
  std::unique_ptr<ScriptedServer> server;
  ClusterConfig config;
  std::unique_ptr<EventLoop> loop;
  RecordingSink sink;
  std::unique_ptr<ApiClient> api;
  std::unique_ptr<Watcher> watcher;
};

TEST_F(WatcherTest, HoldsWhatTheServerHolds) {
  put("one");
  begin({ResourceKind::pods});
  EXPECT_EQ(sink.lines.size(), 0u) << "nothing is told from within start()";
  until_told({"+ a/one@101", "synced"});
  until_watched();
  put("two");
  until_told({"+ a/two@102"});
  put("one", "10.0.0.9");
  until_told({"+ a/one@103"});
  server->tell(std::string("delete ") + kPods + " two");
  until_told({"- a/two"});
  EXPECT_EQ(watcher->objects(ResourceKind::pods).size(), 1u);
  EXPECT_EQ(watcher->objects(ResourceKind::nodes).size(), 0u);
  EXPECT_TRUE(watcher->state(ResourceKind::pods).listed);
  EXPECT_FALSE(watcher->state(ResourceKind::nodes).listed);
  EXPECT_LT(EventLoop::now() - watcher->last_heard(ResourceKind::pods), seconds(15));
}

TEST_F(WatcherTest, AResourceThatIsAbsentHoldsUpNoOther) {
  put("one");
  begin({ResourceKind::policy_endpoints, ResourceKind::pods});
  until([&] { return sink.lines.size() == 3; });
  EXPECT_EQ(watcher->state(ResourceKind::policy_endpoints).state, WatchState::absent);
  EXPECT_EQ(watcher->state(ResourceKind::pods).state, WatchState::synced);
}

TEST_F(WatcherTest, AWatchThatEndsOrBreaksIsTakenUpWhereItWas) {
  put("one");
  begin({ResourceKind::pods});
  until_told({"+ a/one@101", "synced"});
  for (const char* how : {"end ", "cut "}) {
    until_watched();
    const Instant began = EventLoop::now();
    while (EventLoop::now() - began < milliseconds(1050)) until([] { return true; });  // not an end at once
    server->tell(how + std::string(kPods));
    until_watched();
  }
  put("two");
  until_told({"+ a/two@102"});
  const std::string log = server->tell("log");
  EXPECT_EQ(log.find("list"), std::string::npos);
  EXPECT_EQ(log.find("resourceVersion=0"), log.rfind("resourceVersion=0")) << "it is listed once";
}

TEST_F(WatcherTest, AServerThatGoesAndComesBackLosesNothing) {
  put("one");
  begin({ResourceKind::pods});
  until_told({"+ a/one@101", "synced"});
  until_watched();
  const int port = server->port();
  server.reset();
  until([&] { return watcher->state(ResourceKind::pods).state == WatchState::failing; });
  EXPECT_EQ(watcher->state(ResourceKind::pods).detail,
            config.server + " (the test): connection refused, expected a server that listens there");
  EXPECT_EQ(watcher->objects(ResourceKind::pods).size(), 1u);
  sink.take();
  server = std::make_unique<ScriptedServer>(arguments(port));
  ASSERT_EQ(server->port(), port);
  put("one");
  until_told({"synced"});
}

TEST_F(WatcherTest, ARenewedTokenIsReadWhenTheOldOneIsRefused) {
  server->tell("token good");
  put("one");
  begin({ResourceKind::pods});
  until_told({"+ a/one@101", "synced"});
  until_watched();
  server->tell("token better");
  write_token("better");
  server->tell(std::string("cut ") + kPods);
  until_watched();
  EXPECT_EQ(watcher->state(ResourceKind::pods).state, WatchState::synced);
  write_token("wrong");
  server->tell("token best");
  server->tell(std::string("cut ") + kPods);
  until([&] { return watcher->state(ResourceKind::pods).state == WatchState::failing; });
  EXPECT_EQ(
      watcher->state(ResourceKind::pods).detail,
      "the API server does not accept the credentials (401 Unauthorized: Unauthorized), expected a token or "
      "client certificate that is valid now");
}

// Each fault at a server and a watcher of its own, all at once: each makes its watcher wait for seconds.
TEST_F(WatcherTest, FaultsOfTheServerChangeNothingThatIsHeld) {
  struct Row {
    const char* fault;
    std::unique_ptr<ScriptedServer> server{};
    RecordingSink sink{};
    std::unique_ptr<ApiClient> api{};
    std::unique_ptr<Watcher> watcher{};
  } rows[] = {{"answer 1 500 oops"},
              {"answer 1 200 <html>"},
              {"answer 1 429 slow"},
              {"answer 1 200 {\"kind\":\"PodList\",\"items\":[{\"metadata\":{"},
              {"answer 1 410 {\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}"},
              {"send /api/v1/pods garbage"}};
  for (auto& row : rows) {
    row.server = std::make_unique<ScriptedServer>(arguments());
    put_pod(*row.server, "one");
    config.server = "https://127.0.0.1:" + std::to_string(row.server->port());
    row.api = std::move(*ApiClient::make(*loop, config));
    row.watcher = std::make_unique<Watcher>(*loop, *row.api, row.sink, Watcher::Options{{ResourceKind::pods}, 7});
    row.watcher->start();
  }
  for (auto& row : rows) {
    SCOPED_TRACE(row.fault);
    until([&] { return row.sink.lines.size() >= 2; });
    EXPECT_EQ(row.sink.take(), (Lines{"+ a/one@101", "synced"}));
    until_watched(*row.server);
  }
  for (auto& row : rows) {
    row.server->tell(row.fault);
    row.server->tell(std::string("cut ") + kPods);
  }
  for (auto& row : rows) {
    SCOPED_TRACE(row.fault);
    until_watched(*row.server);
    until([&] { return row.watcher->state(ResourceKind::pods).state == WatchState::synced; });
    EXPECT_EQ(row.watcher->objects(ResourceKind::pods).size(), 1u);
    for (const auto& line : row.sink.take()) EXPECT_TRUE(line[0] != '+' && line[0] != '-') << line;
    row.watcher.reset();
  }
}

TEST_F(WatcherTest, ItMayGoWhileItWatches) {
  put("one");
  begin({ResourceKind::pods, ResourceKind::nodes});
  until_watched();
  watcher.reset();
  put("two");
  const Instant began = EventLoop::now();
  until([&] { return EventLoop::now() - began > milliseconds(50); });
}

TEST_F(WatcherTest, WhatIsMissingAtTheStartIsSaidAtTheStart) {
  config.authority.file = "/nonexistent/ca.crt";
  const auto made = ApiClient::make(*loop, config);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message,
            "/nonexistent/ca.crt: No such file or directory, expected a readable certificate-authority");
}

TEST_F(WatcherTest, CallsHaveWholeAnswers) {
  api = std::move(*ApiClient::make(*loop, config));
  std::vector<std::string> answers;
  const auto note = [&](Result<ApiAnswer> answer) {
    answers.push_back(answer ? std::to_string(answer->status) + " " + answer->body : answer.error().message);
  };
  api->call({"POST", "/api/v1/namespaces/a/events", "application/json", "{\"a\":1}"}, note);
  EXPECT_EQ(answers.size(), 0u);
  until([&] { return answers.size() == 1; });
  EXPECT_EQ(answers[0], "201 {\"a\":1}");

  server->tell("token better");
  write_token("better");
  api->call({"PATCH", "/x", "application/merge-patch+json", "{}"}, note);
  until([&] { return answers.size() == 2; });
  EXPECT_EQ(answers[1], "201 {}") << "with the renewed token";

  server->tell("token best");
  api->call({"GET", "/x", "", ""}, note);
  until([&] { return answers.size() == 3; });
  EXPECT_EQ(answers[2].substr(0, 3), "401");

  server.reset();
  api->call({"GET", "/x", "", ""}, note);
  until([&] { return answers.size() == 4; });
  EXPECT_EQ(answers[3],
            config.server + " (the test): connection refused, expected a server that listens there");

  api->call({"GET", "/x", "", ""}, note);
  api.reset();
  EXPECT_EQ(answers.size(), 4u);
}

}  // namespace
}  // namespace postern::agent::kube
