// SPDX-License-Identifier: Apache-2.0
// What can go wrong with a list and with a watch, a row each: how long the reflector waits, what it asks
// then, and that nothing it holds is lost.
#include <gtest/gtest.h>

#include <functional>

#include "test/unit/agent_kube/reflector_driver.h"

namespace postern::agent::kube {
namespace {

// What happens to a watch, and what is asked after it.
struct WatchFault {
  const char* name;
  std::function<void(Driver&)> happens;  // after sync(), before the watch has an answer
  std::int64_t waits_ms;                 // the base of the back-off; 0: it does not wait
  const char* asks;
  WatchState state;
  const char* detail;
};

void watch_runs(Driver& driver) {
  driver.head(200);
  driver.now = driver.now + seconds(2);
  driver.sink.take();
}

const WatchFault kWatchFaults[] = {
    {"410 as status", [](Driver& d) { d.answer(410, status_json(410, "Expired", "too old")); }, 800,
     "?resourceVersion=10", WatchState::synced, ""},
    {"410 as an event",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(bookmark_json("15") +
               event_json("ERROR", status_json(410, "Expired", "too old resource version")));
     },
     800, "?resourceVersion=15", WatchState::synced, ""},
    {"Gone, the older word",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(event_json("ERROR", status_json(410, "Gone", "too old")));
     },
     800, "?resourceVersion=10", WatchState::synced, ""},
    {"429", [](Driver& d) { d.answer(429, "slow down"); }, 800, "watch 10", WatchState::failing,
     "the watch was answered with 429: slow down"},
    {"429 as an event",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(event_json("ERROR", status_json(429, "TooManyRequests", "busy")));
     },
     800, "watch 10", WatchState::failing, "the watch ended with 429 TooManyRequests: busy"},
    {"connection refused", [](Driver& d) { d.fails(true, "refused"); }, 800, "?limit=1", WatchState::failing,
     "refused"},
    {"no connection for another reason", [](Driver& d) { d.fails(false, "no route"); }, 800,
     "?resourceVersion=10", WatchState::failing, "no route"},
    {"500", [](Driver& d) { d.answer(500, status_json(500, "InternalError", "etcd")); }, 800,
     "?resourceVersion=10", WatchState::failing, "the watch was answered with 500 InternalError: etcd"},
    {"500 as an event",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(event_json("ERROR", status_json(500, "InternalError", "etcd")));
     },
     800, "?resourceVersion=10", WatchState::failing, "the watch ended with 500 InternalError: etcd"},
    {"garbage",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(bookmark_json("15") + "<html>");
     },
     800, "?resourceVersion=15", WatchState::failing,
     "the watch cannot be read: found '<' at byte 163 of the answer, expected the { of an event"},
    {"an event that is not JSON",
     [](Driver& d) {
       watch_runs(d);
       d.bytes("{nonsense}");
     },
     800, "?resourceVersion=10", WatchState::failing, nullptr},
    {"an end in time",
     [](Driver& d) {
       watch_runs(d);
       d.end();
     },
     0, "watch 10", WatchState::synced, ""},
    {"half an object and the end",
     [](Driver& d) {
       watch_runs(d);
       const std::string event = event_json("ADDED", pod_json("a", "two", "11"));
       d.bytes(bookmark_json("15") + event.substr(0, event.size() / 2));
       d.end();
     },
     0, "watch 15", WatchState::synced, ""},
    {"half an object and a broken connection",
     [](Driver& d) {
       watch_runs(d);
       d.bytes(R"({"type":"ADDED","object":{)");
       d.fails(false);
     },
     0, "?limit=1", WatchState::synced, ""},
    {"one bookmark and a connection that breaks at once",
     [](Driver& d) {
       d.head(200);
       d.bytes(bookmark_json("15"));
       d.fails(false);
     },
     800, "?limit=1", WatchState::synced, ""},
    {"an end at once",
     [](Driver& d) {
       d.head(200);
       d.end();
     },
     800, "?resourceVersion=10", WatchState::synced, ""},
    {"one bookmark and an end at once",
     [](Driver& d) {
       d.head(200);
       d.bytes(bookmark_json("15"));
       d.end();
     },
     800, "watch 15", WatchState::synced, ""},
    {"404", [](Driver& d) { d.answer(404, "404 page not found"); }, 800, "?resourceVersion=10",
     WatchState::synced, ""},
    {"too large a version",
     [](Driver& d) {
       d.answer(504,
                status_json(504, "Timeout", "Too large resource version",
                            R"({"causes":[{"reason":"ResourceVersionTooLarge"}]})"),
                seconds(1));
     },
     800, "?resourceVersion=10", WatchState::synced, ""},
};

TEST(Reflector, AfterAFaultOfTheWatchItWaitsAndAsksAsClientGoDoes) {
  for (const auto& row : kWatchFaults) {
    SCOPED_TRACE(row.name);
    Driver driver;
    driver.sync();
    row.happens(driver);
    if (row.waits_ms != 0) {
      EXPECT_TRUE(is_backoff(driver.wait(), row.waits_ms));
    }
    EXPECT_EQ(driver.asks(), row.asks);
    EXPECT_EQ(driver.held(), "one") << "no fault changes what is held";
    EXPECT_EQ(driver.reflector.state().state, row.state);
    if (row.detail != nullptr) {
      EXPECT_EQ(driver.reflector.state().detail, row.detail);
    }
    EXPECT_TRUE(driver.reflector.state().listed);
    for (const auto& line : driver.sink.take()) EXPECT_TRUE(line[0] != '+' && line[0] != '-') << line;
  }
}

// What happens to the first list, and what is asked after it.
struct ListFault {
  const char* name;
  std::function<void(Driver&)> happens;
  std::int64_t waits_ms;
  const char* asks;
  WatchState state;
  const char* detail;
};

const ListFault kListFaults[] = {
    {"connection refused", [](Driver& d) { d.fails(true, "refused"); }, 800, "?limit=500&resourceVersion=0",
     WatchState::failing, "refused"},
    {"500", [](Driver& d) { d.answer(500, "oops"); }, 800, "?limit=500&resourceVersion=0",
     WatchState::failing, "the list was answered with 500: oops"},
    {"429", [](Driver& d) { d.answer(429, ""); }, 800, "?limit=500&resourceVersion=0", WatchState::failing,
     "the list was answered with 429"},
    {"429 on a later page",
     [](Driver& d) {
       d.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}, "t"));
       d.answer(429, "");
     },
     800, "?limit=500&continue=t", WatchState::failing, "the list was answered with 429"},
    {"500 on a later page",
     [](Driver& d) {
       d.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}, "t"));
       d.answer(500, "");
     },
     800, "?limit=500&resourceVersion=0", WatchState::failing, "the list was answered with 500"},
    {"an expired continue",
     [](Driver& d) {
       d.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}, "t"));
       d.answer(410, status_json(410, "Expired", "too old"));
     },
     0, "?resourceVersion=0", WatchState::starting, ""},
    {"an expired list", [](Driver& d) { d.answer(410, status_json(410, "Expired", "too old")); }, 0,
     "?limit=500", WatchState::starting, ""},
    {"an expired list twice",
     [](Driver& d) {
       d.answer(410, status_json(410, "Expired", "too old"));
       d.answer(410, status_json(410, "Expired", "too old"));
     },
     800, "?limit=500", WatchState::failing, "the list was answered with 410 Expired: too old"},
    {"garbage", [](Driver& d) { d.answer(200, "<html>"); }, 800, "?limit=500&resourceVersion=0",
     WatchState::failing,
     "the list cannot be read: found '<' at byte 1 of the answer, expected the { of a list"},
    {"half a list and the end",
     [](Driver& d) {
       const std::string list = list_json("Pod", "10", {pod_json("a", "one", "5")});
       d.answer(200, list.substr(0, list.size() - 30));
     },
     800, "?limit=500&resourceVersion=0", WatchState::failing, "the list breaks off, expected its end"},
    {"half a list and a broken connection",
     [](Driver& d) {
       d.head(200);
       d.bytes(R"({"kind":"PodList","items":[)");
       d.fails(false, "reset");
     },
     800, "?limit=500&resourceVersion=0", WatchState::failing, "reset"},
    {"nothing at all", [](Driver& d) { d.answer(200, ""); }, 800, "?limit=500&resourceVersion=0",
     WatchState::failing, "the list breaks off, expected its end"},
    {"another kind of list", [](Driver& d) { d.answer(200, list_json("Node", "10", {})); }, 800,
     "?limit=500&resourceVersion=0", WatchState::failing,
     "the list cannot be read: found a \"NodeList\", expected a PodList"},
    {"the same page again",
     [](Driver& d) {
       d.answer(200, list_json("Pod", "10", {}, "t"));
       d.answer(200, list_json("Pod", "10", {}, "t"));
     },
     800, "?limit=500&resourceVersion=0", WatchState::failing,
     "the list goes on with the page that it just sent, expected the next"},
    {"a refusal that breaks off",
     [](Driver& d) {
       d.head(500);
       d.bytes("half");
       d.fails(false, "reset");
     },
     800, "?limit=500&resourceVersion=0", WatchState::failing, "the list was answered with 500: half"},
};

TEST(Reflector, AfterAFaultOfTheListItWaitsAndAsksAsClientGoDoes) {
  for (const auto& row : kListFaults) {
    SCOPED_TRACE(row.name);
    Driver driver;
    row.happens(driver);
    if (row.waits_ms != 0) {
      EXPECT_TRUE(is_backoff(driver.wait(), row.waits_ms));
    }
    EXPECT_EQ(driver.asks(), row.asks);
    EXPECT_EQ(driver.held(), "");
    EXPECT_EQ(driver.reflector.state().state, row.state);
    EXPECT_EQ(driver.reflector.state().detail, row.detail);
    EXPECT_FALSE(driver.reflector.state().listed);
  }
}

TEST(Reflector, AResourceThatIsNotThereIsAskedForAgainAndThenFound) {
  Driver driver(ResourceKind::policy_endpoints);
  EXPECT_EQ(driver.reflector.want().target,
            "/apis/networking.k8s.aws/v1alpha1/policyendpoints?limit=500&resourceVersion=0");
  for (const std::int64_t base_s : {2, 4, 8, 16, 32, 64, 120, 120, 120}) {
    driver.answer(404, "404 page not found\n");
    const Duration waited = driver.wait();
    EXPECT_GE(waited, seconds(base_s));
    EXPECT_LE(waited, Duration{seconds(base_s).ns * 6 / 5});
  }
  EXPECT_EQ(driver.sink.take(),
            (Lines{"absent: the API server has no policyendpoints of networking.k8s.aws/v1alpha1; its "
                   "CustomResourceDefinition is not installed"}));
  EXPECT_FALSE(driver.reflector.state().listed);
  driver.answer(200, list_json("PolicyEndpoint", "4", {}));
  EXPECT_EQ(driver.sink.take(), (Lines{"synced"}));
  driver.answer(404, "");  // the watch; then the list
  driver.wait();
  driver.answer(404, "");
  EXPECT_LE(driver.wait(), milliseconds(2400)) << "it was there meanwhile";
}

TEST(Reflector, WhatACustomResourceHeldGoesOnlyWhenItHasBeenAbsentForMinutes) {
  Driver driver(ResourceKind::policy_endpoints);
  driver.answer(200, R"({"kind":"PolicyEndpointList","apiVersion":"networking.k8s.aws/v1alpha1",
      "metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"one","namespace":"a","resourceVersion":"5"},
      "spec":{"policyRef":{"name":"p","namespace":"a"}}}]})");
  driver.answer(404, "");
  driver.wait();
  const Instant began = driver.now;
  while (driver.held() == "one") {
    ASSERT_LT(driver.now - began, seconds(400));
    driver.answer(404, "");
    if (driver.held() == "one") {
      EXPECT_LE(driver.wait(), seconds(36));
    }
  }
  EXPECT_GE(driver.now - began, seconds(300));
  EXPECT_EQ(driver.reflector.state().state, WatchState::absent);
  EXPECT_TRUE(driver.sink.from_list) << "no event has said so";
}

TEST(Reflector, WhatEveryApiServerHasIsNeverTakenForGone) {
  Driver driver;
  driver.sync();
  for (const Instant began = driver.now; driver.now - began < seconds(1000);) {
    driver.answer(404, "");
    ASSERT_EQ(driver.held(), "one");
    driver.wait();
  }
  EXPECT_EQ(driver.reflector.state().state, WatchState::absent);
}

TEST(Reflector, AMissingPermissionIsNamedAndAskedForSlowly) {
  struct Row {
    ResourceKind kind;
    const char* detail;
  };
  const Row rows[] = {
      {ResourceKind::network_policies,
       "cannot list resource networkpolicies in API group networking.k8s.io: the ClusterRole needs get, "
       "list, watch"},
      {ResourceKind::pods,
       "cannot list resource pods in the core API group: the ClusterRole needs get, list, watch"},
      {ResourceKind::cluster_network_policies,
       "cannot list resource clusternetworkpolicies in API group policy.networking.k8s.io: the ClusterRole needs "
       "get, list, watch"},
  };
  for (const auto& row : rows) {
    Driver driver(row.kind);
    driver.answer(403, "");
    EXPECT_EQ(driver.sink.take(), (Lines{std::string("forbidden: ") + row.detail}));
    const Duration waited = driver.wait();
    EXPECT_GE(waited, seconds(60));
    EXPECT_LE(waited, seconds(72));
    driver.answer(403, status_json(403, "Forbidden", "User cannot list"));
    EXPECT_EQ(driver.reflector.state().detail,
              std::string(row.detail) + " (403 Forbidden: User cannot list)");
  }
}

TEST(Reflector, WhoMayListAndNotWatchIsForbiddenAllTheTime) {
  Driver driver;
  driver.sync();
  driver.answer(403, "");
  EXPECT_EQ(driver.sink.take(),
            (Lines{"forbidden: cannot watch resource pods in the core API group: the ClusterRole "
                   "needs get, list, watch"}));
  driver.wait();
  driver.answer(200, list_json("Pod", "20", {pod_json("a", "two", "15")}));
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/two@15", "- a/one"})) << "what is listed counts";
  driver.answer(403, "");
  EXPECT_EQ(driver.sink.take(), Lines{});
  driver.wait();
  driver.answer(200, list_json("Pod", "21", {pod_json("a", "two", "15")}));
  driver.head(200);
  EXPECT_EQ(driver.sink.take(), (Lines{"synced"}));
}

TEST(Reflector, RefusedCredentialsAreReadAnewAtOnce) {
  Driver driver;
  EXPECT_FALSE(driver.reflector.want().new_credentials);
  driver.answer(401, status_json(401, "Unauthorized", "Unauthorized"));
  EXPECT_EQ(driver.asks(), "?limit=500&resourceVersion=0");
  EXPECT_TRUE(driver.reflector.want().new_credentials);
  EXPECT_EQ(driver.sink.take(), Lines{});
  driver.sync();
  EXPECT_FALSE(driver.reflector.want().new_credentials);
  driver.answer(401, "");
  EXPECT_EQ(driver.asks(), "watch 10");
  EXPECT_TRUE(driver.reflector.want().new_credentials);
  driver.answer(401, status_json(401, "Unauthorized", "Unauthorized"));
  EXPECT_EQ(driver.sink.take(), (Lines{"failing: the API server does not accept the credentials (401 "
                                       "Unauthorized: Unauthorized), expected a "
                                       "token or client certificate that is valid now"}));
  EXPECT_TRUE(is_backoff(driver.wait(), 800));
  EXPECT_EQ(driver.asks(), "watch 10");
  EXPECT_TRUE(driver.reflector.want().new_credentials) << "each time, since it may have been renewed";
  driver.head(200);
  EXPECT_EQ(driver.sink.take(), (Lines{"synced"}));
}

TEST(Reflector, AWatchThatDoesNotEndIsEndedAndAskedForAnewOnANewConnection) {
  Driver driver;
  driver.sync_and_watch();
  const auto request = driver.reflector.want().request;
  const Instant wake = driver.reflector.want().wake;
  driver.bytes(bookmark_json("15"));
  EXPECT_EQ(driver.reflector.want().wake, wake) << "bookmarks do not make it live longer";
  driver.now = wake + Duration{-1};
  driver.reflector.on_time(driver.now);
  EXPECT_EQ(driver.reflector.want().request, request);
  driver.pass(Duration{1});
  EXPECT_NE(driver.reflector.want().request, request);
  EXPECT_EQ(driver.asks(), "watch 15");
  EXPECT_TRUE(driver.reflector.want().new_connection);
  EXPECT_EQ(driver.reflector.state().state, WatchState::failing);
  driver.head(200);
  EXPECT_EQ(driver.reflector.state().state, WatchState::synced);
  driver.pass(seconds(2));
  driver.end();
  EXPECT_FALSE(driver.reflector.want().new_connection);
}

TEST(Reflector, AListIsGivenUpWhenNothingMoreOfItComes) {
  Driver driver;
  driver.pass(seconds(59));
  driver.head(200);
  driver.pass(seconds(59));
  driver.bytes("{");
  driver.pass(seconds(59));
  EXPECT_EQ(driver.asks(), "?limit=500&resourceVersion=0");
  driver.pass(seconds(1));
  EXPECT_EQ(driver.sink.take(), (Lines{"failing: nothing more of the list came for 60 s, expected its end"}));
  EXPECT_TRUE(is_backoff(driver.wait(), 800));
  EXPECT_TRUE(driver.reflector.want().new_connection);
}

}  // namespace
}  // namespace postern::agent::kube
