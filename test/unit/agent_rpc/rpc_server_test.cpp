// SPDX-License-Identifier: Apache-2.0
// What the CNI plug-in is answered: by the gate, by the time limit, by the server itself.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "test/unit/agent_rpc/server_rig.h"

namespace postern::agent {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t ms_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

TEST_F(ServerTest, a_pod_is_answered_when_the_gate_says_that_it_is_in_force) {
  std::atomic<bool> in_force = false;
  gate.on_enforce = [&](const PodRequest&, const Done& done) {
    thread.loop().after(milliseconds(100), [&in_force, done] {
      in_force = true;
      done({});
    });
  };
  start();
  EXPECT_EQ(enforce("strict"), "Success");
  EXPECT_TRUE(in_force);
  thread.on_loop([this] {
    ASSERT_EQ(gate.enforced.size(), 1u);
    EXPECT_EQ(gate.enforced[0].pod.to_string(), "shop/web");
    EXPECT_TRUE(gate.enforced[0].strict);
    EXPECT_EQ(gate.enforced[0].interface_count, 1);
  });
  EXPECT_EQ(enforce("standard"), "Success");
  thread.on_loop([this] { EXPECT_FALSE(gate.enforced.at(1).strict); });
}

TEST_F(ServerTest, a_pod_is_removed_through_the_gate) {
  start();
  EXPECT_EQ(remove(), "Success");
  thread.on_loop([this] {
    ASSERT_EQ(gate.removed.size(), 1u);
    EXPECT_EQ(gate.removed[0].to_string(), "shop/web");
  });
  thread.on_loop([this] {
    gate.on_remove = [](const Done& done) { done(fail(ErrorCode::io, "the link does not go")); };
  });
  EXPECT_EQ(remove(), "14 the link does not go");
}

TEST_F(ServerTest, only_the_two_modes_in_lower_case_and_whole_names_reach_the_gate) {
  start();
  const struct {
    const char* mode;
    const char* name;
    const char* answer;
  } rows[] = {
      {"", "web", "3 found NETWORK_POLICY_MODE \"\", expected standard or strict"},
      {"Strict", "web", "3 found NETWORK_POLICY_MODE \"Strict\", expected standard or strict"},
      {"STANDARD", "web", "3 found NETWORK_POLICY_MODE \"STANDARD\", expected standard or strict"},
      {"standard ", "web", "3 found NETWORK_POLICY_MODE \"standard \", expected standard or strict"},
      {"standard", "", "3 found the pod \"shop/\", expected K8S_POD_NAMESPACE and K8S_POD_NAME"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.mode);
    EXPECT_EQ(enforce(row.mode, row.name), row.answer);
  }
  EXPECT_EQ(remove(""), "3 found the pod \"shop/\", expected K8S_POD_NAMESPACE and K8S_POD_NAME");
  thread.on_loop([this] {
    EXPECT_TRUE(gate.enforced.empty());
    EXPECT_TRUE(gate.removed.empty());
  });
}

TEST_F(ServerTest, an_error_of_the_gate_reaches_the_caller_with_its_text) {
  start();
  const struct {
    ErrorCode code;
    const char* answer;
  } rows[] = {{ErrorCode::invalid_input, "3 why"}, {ErrorCode::unsupported, "12 why"},
              {ErrorCode::not_found, "5 why"},     {ErrorCode::permission, "7 why"},
              {ErrorCode::table_full, "8 why"},    {ErrorCode::io, "14 why"},
              {ErrorCode::internal, "13 why"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.answer);
    thread.on_loop([&] {
      gate.on_enforce = [&row](const PodRequest&, const Done& done) { done(fail(row.code, "why")); };
    });
    EXPECT_EQ(enforce(), row.answer);
  }
}

TEST_F(ServerTest, a_caller_is_told_what_is_missing_when_the_time_is_up) {
  gate.on_enforce = [this](const PodRequest& request, const Done& done) {
    gate.held.push_back(done);
    request.awaited->set("the interface of shop/web");
  };
  start({.socket = "", .policy_enabled = true, .answer_within = milliseconds(200)});
  const auto start_time = Clock::now();
  EXPECT_EQ(enforce(), "4 time is up, still waiting for the interface of shop/web");
  EXPECT_GE(ms_since(start_time), 190);
  // What the gate says afterwards reaches nobody and harms nothing.
  thread.on_loop([this] {
    ASSERT_EQ(gate.held.size(), 1u);
    gate.held[0]({});
    gate.held.clear();
    gate.on_enforce = [](const PodRequest&, const Done& done) {
      done({});
      done(fail(ErrorCode::io, "said twice"));
    };
  });
  EXPECT_EQ(enforce(), "Success");
}

TEST_F(ServerTest, the_limit_is_below_the_two_seconds_of_the_cni) {
  gate.on_enforce = [this](const PodRequest& request, const Done& done) {
    gate.held.push_back(done);
    request.awaited->set("something");
  };
  EXPECT_LE(RpcServerOptions{}.answer_within, milliseconds(1800));
  start();
  const auto start_time = Clock::now();
  EXPECT_EQ(enforce(), "4 time is up, still waiting for something");
  EXPECT_GE(ms_since(start_time), 1700);
  thread.on_loop([this] { gate.held.clear(); });
}

TEST_F(ServerTest, a_caller_with_less_patience_is_told_before_it_gives_up) {
  gate.on_enforce = [this](const PodRequest& request, const Done& done) {
    gate.held.push_back(done);
    request.awaited->set("something");
  };
  start({.socket = "", .policy_enabled = true, .answer_within = seconds(60)});
  EXPECT_EQ(enforce("standard", "web", 2000), "4 time is up, still waiting for something");
  thread.on_loop([this] { gate.held.clear(); });
}

TEST_F(ServerTest, a_request_that_the_gate_drops_is_an_error_at_once) {
  gate.on_enforce = [](const PodRequest&, const Done&) {};
  start();
  const auto start_time = Clock::now();
  EXPECT_EQ(enforce(), "13 the agent dropped the request");
  EXPECT_LT(ms_since(start_time), 1500);
}

TEST_F(ServerTest, a_loop_that_stands_still_lets_nobody_hang) {
  serve({.socket = "", .policy_enabled = true, .answer_within = milliseconds(100)});
  EXPECT_EQ(enforce(), "4 time is up, still waiting for the agent's loop to take the request");
  EXPECT_EQ(remove(), "4 time is up, still waiting for the agent's loop to take the request");
}

TEST_F(ServerTest, with_policy_disabled_everything_succeeds_without_the_loop_and_the_gate) {
  serve({.socket = "", .policy_enabled = false});
  EXPECT_EQ(enforce(), "Success");
  EXPECT_EQ(enforce("whatever"), "Success");
  EXPECT_EQ(enforce("", ""), "Success");
  EXPECT_EQ(remove(), "Success");
  EXPECT_TRUE(gate.enforced.empty());
  EXPECT_TRUE(gate.removed.empty());
}

TEST_F(ServerTest, requests_that_hang_keep_no_other_waiting) {
  gate.on_enforce = [this](const PodRequest& request, const Done& done) {
    if (request.pod.name == "hangs") {
      gate.held.push_back(done);
    } else {
      done({});
    }
  };
  start({.socket = "", .policy_enabled = true, .answer_within = seconds(60)});
  constexpr int kHanging = 200;
  struct Hanging {
    grpc::ClientContext context;
    rpc::EnforceNpRequest request;
    rpc::EnforceNpReply reply;
  };
  std::vector<std::unique_ptr<Hanging>> calls;
  std::atomic<int> succeeded = 0;
  std::atomic<int> ended = 0;
  for (int i = 0; i < kHanging; ++i) {
    auto& call = *calls.emplace_back(std::make_unique<Hanging>());
    call.request.set_k8s_pod_name("hangs");
    call.request.set_k8s_pod_namespace("shop");
    call.request.set_network_policy_mode("strict");
    stub->async()->EnforceNpToPod(&call.context, &call.request, &call.reply, [&](const grpc::Status& status) {
      if (status.ok() && call.reply.success()) ++succeeded;
      ++ended;
    });
  }
  const auto until = Clock::now() + std::chrono::seconds(30);
  const auto held = [this] {
    std::size_t count = 0;
    thread.on_loop([&] { count = gate.held.size(); });
    return count;
  };
  while (held() < kHanging && Clock::now() < until) std::this_thread::yield();
  ASSERT_EQ(held(), static_cast<std::size_t>(kHanging));
  EXPECT_EQ(enforce("strict", "another"), "Success");
  EXPECT_EQ(ended, 0);
  thread.on_loop([this] {
    for (const auto& done : gate.held) done({});
    gate.held.clear();
  });
  while (ended < kHanging && Clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(succeeded, kHanging);
}

TEST_F(ServerTest, when_the_server_ends_open_requests_are_told_so_and_the_gate_is_left_alone) {
  gate.on_enforce = [this](const PodRequest&, const Done& done) { gate.held.push_back(done); };
  start({.socket = "", .policy_enabled = true, .answer_within = seconds(60)});
  std::string answer;
  std::thread caller([&] { answer = enforce(); });
  std::size_t held = 0;
  while (held == 0) thread.on_loop([&] { held = gate.held.size(); });
  const auto start_time = Clock::now();
  end_server();
  caller.join();
  EXPECT_EQ(answer, "14 the agent is ending");
  EXPECT_LT(ms_since(start_time), 5000);
  EXPECT_FALSE(std::filesystem::exists(socket()));
  thread.on_loop([this] {
    gate.held[0]({});
    gate.held.clear();
  });
}

TEST_F(ServerTest, a_request_that_the_loop_gets_to_after_the_end_is_not_carried_out) {
  serve({.socket = "", .policy_enabled = true, .answer_within = milliseconds(100)});
  EXPECT_EQ(enforce(), "4 time is up, still waiting for the agent's loop to take the request");
  server.reset();
  thread.start();
  thread.on_loop([this] { EXPECT_TRUE(gate.enforced.empty()); });
}

TEST_F(ServerTest, one_server_follows_another_on_the_same_socket) {
  start();
  EXPECT_EQ(enforce(), "Success");
  end_server();
  serve();
  EXPECT_EQ(enforce(), "Success");
}

TEST_F(ServerTest, a_socket_that_a_killed_server_left_is_replaced_and_for_its_owner_alone) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, socket().c_str());
  const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(left, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(left);
  start();
  EXPECT_EQ(enforce(), "Success");
  struct stat found {};
  ASSERT_EQ(stat(socket().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
}

TEST_F(ServerTest, a_second_server_does_not_take_the_place_of_the_first) {
  start();
  FakeGate other;
  const auto second = RpcServer::start({.socket = socket()}, thread.loop(), other);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().to_string(), "--grpc-socket: cannot serve " + socket() +
                                            ": another process serves it; expected it to end first");
  EXPECT_EQ(enforce(), "Success");
}

}  // namespace
}  // namespace postern::agent
