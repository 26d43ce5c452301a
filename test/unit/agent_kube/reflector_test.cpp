// SPDX-License-Identifier: Apache-2.0
// The reflector against answers written by hand: what it asks next, what becomes of the store, and what
// the sink is told.
#include "agent/kube/reflector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "test/unit/agent_kube/reflector_driver.h"

namespace postern::agent::kube {
namespace {

TEST(Reflector, ListsInPagesAndThenWatchesFromTheVersionOfTheList) {
  Driver driver;
  EXPECT_EQ(driver.reflector.want().target, "/api/v1/pods?limit=500&resourceVersion=0");
  driver.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}, "next/=="));
  EXPECT_EQ(driver.asks(), "?limit=500&continue=next%2F%3D%3D");
  EXPECT_EQ(driver.sink.take(), Lines{}) << "half a list is nothing";
  driver.answer(200, list_json("Pod", "10", {pod_json("a", "two", "6")}, "last"));
  EXPECT_EQ(driver.asks(), "?limit=500&continue=last");
  driver.answer(200, list_json("Pod", "10", {pod_json("b", "three", "7")}));
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/one@5", "+ a/two@6", "+ b/three@7", "synced"}));
  EXPECT_EQ(driver.sink.batches, 1);
  EXPECT_TRUE(driver.reflector.state().listed);
  EXPECT_EQ(driver.reflector.lists(), 1u) << "in pages it is still one";
  EXPECT_EQ(driver.asks(), "watch 10");
}

TEST(Reflector, WatchesFromTheVersionOfTheFirstPage) {
  Driver driver;
  driver.answer(200, list_json("Pod", "10", {}, "t"));
  driver.answer(200, list_json("Pod", "12", {}));
  EXPECT_EQ(driver.asks(), "watch 10") << "what came between the pages comes again";
}

TEST(Reflector, AsksForWhatIsSelectedInEveryRequest) {
  RecordingSink sink;
  ObjectStore store(ResourceKind::pods, sink);
  Reflector reflector(resource_of(ResourceKind::pods), store, sink, Prng(1), "spec.nodeName=a b");
  const auto answer = [&](const std::string& body) {
    reflector.on_head({200, {}}, {});
    reflector.on_bytes(body, {});
    reflector.on_end({});
  };
  const auto asks = [&] {
    return reflector.want().target.substr(0, reflector.want().target.find("&timeoutSeconds"));
  };
  const std::string selector = "&fieldSelector=spec.nodeName%3Da%20b";
  reflector.start({});
  EXPECT_EQ(asks(), "/api/v1/pods?limit=500&resourceVersion=0" + selector);
  answer(list_json("Pod", "10", {}, "t"));
  EXPECT_EQ(asks(), "/api/v1/pods?limit=500&continue=t" + selector);
  answer(list_json("Pod", "10", {}));
  EXPECT_EQ(asks(), "/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=10");
  EXPECT_NE(reflector.want().target.find(selector), std::string::npos);
}

TEST(Reflector, AWatchIsAskedForBetweenFiveAndTenMinutes) {
  std::int64_t least = 10'000;
  std::int64_t most = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Driver driver(ResourceKind::pods, seed);
    driver.sync();
    const std::string& target = driver.reflector.want().target;
    const std::int64_t timeout = std::stoll(target.substr(target.rfind('=') + 1));
    least = std::min(least, timeout);
    most = std::max(most, timeout);
    EXPECT_EQ(driver.reflector.want().wake - driver.now, seconds(timeout + 30));
  }
  EXPECT_GE(least, 300);
  EXPECT_LE(least, 310);
  EXPECT_LE(most, 600);
  EXPECT_GE(most, 590);
}

TEST(Reflector, FollowsTheEventsOfAWatch) {
  Driver driver;
  driver.sync_and_watch();
  driver.bytes(event_json("ADDED", pod_json("a", "two", "11")) +
               event_json("DELETED", pod_json("a", "one", "12")));
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/two@11", "- a/one"}));
  driver.bytes(event_json("MODIFIED", pod_json("a", "two", "13", "10.0.0.2")));
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/two@13"}));
  driver.bytes(event_json("MODIFIED", pod_json("a", "two", "14", "10.0.0.2")));
  EXPECT_EQ(driver.sink.take(), Lines{}) << "nothing that is kept has changed";
  driver.bytes(bookmark_json("20"));
  EXPECT_EQ(driver.sink.take(), Lines{});
  driver.end();
  EXPECT_EQ(driver.asks(), "watch 20");
  EXPECT_EQ(driver.reflector.state().state, WatchState::synced);
}

std::string small_pod(const std::string& name, const std::string& version) {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"a","resourceVersion":")" + version +
         R"(","annotations":{"x":"}\"]\\"}}})";
}

TEST(Reflector, TakesTheSameEventsWhereverTheBytesAreCut) {
  const std::string text = event_json("ADDED", small_pod("two", "11")) + bookmark_json("12") +
                           event_json("DELETED", small_pod("one", "13"));
  const std::string list = list_json("Pod", "10", {small_pod("one", "5"), small_pod("three", "6")});
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Driver driver;
    const std::size_t list_cut = cut % list.size();
    driver.head(200);
    driver.bytes(std::string_view(list).substr(0, list_cut));
    driver.bytes(std::string_view(list).substr(list_cut));
    driver.end();
    driver.head(200);
    driver.bytes(std::string_view(text).substr(0, cut));
    driver.bytes(std::string_view(text).substr(cut));
    EXPECT_EQ(driver.held(), "three two") << cut;
    driver.pass(seconds(2));
    driver.end();
    EXPECT_EQ(driver.asks(), "watch 13") << cut;
  }
}

TEST(Reflector, AnEventTwiceIsNoChange) {
  Driver driver;
  driver.sync_and_watch();
  const std::string added = event_json("ADDED", pod_json("a", "two", "11"));
  driver.bytes(added + added);
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/two@11"}));
  driver.bytes(added);
  EXPECT_EQ(driver.sink.take(), Lines{});
  const std::string deleted = event_json("DELETED", pod_json("a", "two", "12"));
  driver.bytes(deleted);
  driver.bytes(deleted);
  EXPECT_EQ(driver.sink.take(), (Lines{"- a/two"}));
}

TEST(Reflector, ALaterListReplacesWhatIsHeldAndRecoversTheState) {
  Driver driver;
  driver.sync();
  driver.answer(500, "oops");
  driver.wait();
  EXPECT_EQ(driver.asks(), "?resourceVersion=10");
  driver.sink.take();
  driver.answer(200, list_json("Pod", "20", {pod_json("a", "two", "15")}));
  EXPECT_EQ(driver.sink.take(), (Lines{"+ a/two@15", "- a/one", "synced"}));
  EXPECT_EQ(driver.asks(), "watch 20");
}

TEST(Reflector, AVersionThatTheServerDoesNotHaveIsAskedForWithoutOne) {
  for (const bool gone : {true, false}) {
    Driver driver;
    driver.sync();
    driver.answer(500, "");
    driver.wait();
    EXPECT_EQ(driver.asks(), "?resourceVersion=10");
    if (gone) {
      driver.answer(410, status_json(410, "Expired", "too old"));
    } else {
      driver.answer(504,
                    status_json(504, "Timeout", "Too large resource version",
                                R"({"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1})"),
                    seconds(1));
    }
    EXPECT_EQ(driver.asks(), "?limit=500") << "at once, and the newest there is";
    driver.answer(500, "");
    driver.wait();
    EXPECT_EQ(driver.asks(), "?limit=500") << "until a list has come";
    driver.answer(200, list_json("Pod", "3", {pod_json("a", "one", "2")}));
    EXPECT_EQ(driver.asks(), "watch 3");
    driver.answer(500, "");
    driver.wait();
    EXPECT_EQ(driver.asks(), "?resourceVersion=3");
  }
}

TEST(Reflector, AServerThatCutsEvenTheFirstListIsAskedForPagesFromThenOn) {
  Driver driver;
  driver.answer(200, list_json("Pod", "10", {}, "t"));
  driver.answer(200, list_json("Pod", "10", {}));
  driver.answer(500, "");
  driver.wait();
  EXPECT_EQ(driver.asks(), "?limit=500&resourceVersion=10");
}

TEST(Reflector, AfterAnExpiredPageOfTheNewestListItAsksForAllOfItWithoutAnything) {
  Driver driver;
  driver.answer(410, status_json(410, "Expired", "too old"));
  EXPECT_EQ(driver.asks(), "?limit=500");
  driver.answer(200, list_json("Pod", "10", {}, "t"));
  driver.answer(410, status_json(410, "Expired", "too old"));
  EXPECT_EQ(driver.reflector.want().target, "/api/v1/pods");
}

TEST(Reflector, AfterAnExpiredPageTheWholeListCountsAndNotTheHalf) {
  Driver driver;
  driver.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}, "t"));
  driver.answer(410, status_json(410, "Expired", "too old"));
  driver.answer(200, list_json("Pod", "12", {pod_json("a", "two", "11")}));
  EXPECT_EQ(driver.held(), "two");
  EXPECT_EQ(driver.asks(), "watch 12");
}

TEST(Reflector, BacksOffTwiceAsLongEachTimeUpToHalfAMinuteAndFromTheStartAfterTwo) {
  Driver driver;
  for (const std::int64_t base_ms : {800, 1600, 3200, 6400, 12'800, 25'600, 30'000, 30'000}) {
    driver.fails(true);
    EXPECT_TRUE(is_backoff(driver.wait(), base_ms));
  }
  driver.sync_and_watch();
  driver.fails(false);  // the end of a watch that ran is no failure
  EXPECT_EQ(driver.asks(), "?limit=1");
  driver.fails(true);
  EXPECT_TRUE(is_backoff(driver.wait(), 30'000)) << "a short success does not start anew";
  driver.answer(200, list_json("Pod", "11", {}));
  driver.head(200);
  driver.bytes(bookmark_json("11"));
  driver.now = driver.now + seconds(200);
  driver.end();
  driver.fails(true);
  EXPECT_TRUE(is_backoff(driver.wait(), 800));
}

TEST(Reflector, NodesDoNotComeBackTogether) {
  std::vector<std::int64_t> waits;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Driver driver(ResourceKind::pods, seed);
    driver.fails(true);
    waits.push_back(driver.wait().ns);
  }
  std::sort(waits.begin(), waits.end());
  EXPECT_LT(waits.front(), milliseconds(900).ns);
  EXPECT_GT(waits.back(), milliseconds(1500).ns);
  EXPECT_EQ(std::adjacent_find(waits.begin(), waits.end()), waits.end());
}

TEST(Reflector, WaitsAsLongAsTheServerAsksItTo) {
  struct Row {
    int status;
    Duration retry_after;
    Duration least;
    Duration most;
    const char* watch_then;
  };
  const Row rows[] = {
      {429, seconds(7), seconds(7), seconds(7), "watch 10"},
      {429, Duration{0}, milliseconds(800), milliseconds(1600), "watch 10"},
      {503, seconds(5), seconds(5), seconds(5), "watch 10"},
      {429, seconds(86'400), seconds(120), seconds(120), "watch 10"},
  };
  for (const auto& row : rows) {
    Driver driver;
    driver.sync();
    driver.answer(row.status, "", row.retry_after);
    const Duration waited = driver.wait();
    EXPECT_GE(waited, row.least);
    EXPECT_LE(waited, row.most);
    EXPECT_EQ(driver.asks(), row.watch_then);
  }
}

// One element of a list whose version is `version`.
std::string one_of(const std::string& version) {
  return list_json("Pod", version, {pod_json("a", "other", "1")}, "more");
}

TEST(Reflector, BeforeAWatchGoesOnAtAServerThatWasAwayItSeesWhetherTheServerIsAsFar) {
  struct Row {
    const char* version;  // of the server that came back
    const char* asks;
  };
  const Row rows[] = {{"10", "watch 10"}, {"250", "watch 10"}, {"9", "?limit=500"}, {"opaque", "watch 10"}};
  for (const auto& row : rows) {
    Driver driver;
    driver.sync();
    driver.fails(true);
    EXPECT_TRUE(is_backoff(driver.wait(), 800));
    EXPECT_EQ(driver.asks(), "?limit=1");
    driver.fails(true);
    EXPECT_TRUE(is_backoff(driver.wait(), 1600));
    EXPECT_EQ(driver.asks(), "?limit=1");
    driver.answer(200, one_of(row.version));
    EXPECT_EQ(driver.asks(), row.asks) << row.version;
    EXPECT_EQ(driver.held(), "one") << "the element that was listed does not count";
  }
}

TEST(Reflector, AServerThatCameBackWithLessReplacesWhatIsHeld) {
  Driver driver;
  driver.sync();
  driver.fails(true);
  driver.wait();
  driver.answer(200, list_json("Pod", "2", {}));
  EXPECT_EQ(driver.asks(), "?limit=500");
  driver.sink.take();
  driver.answer(200, list_json("Pod", "2", {}));
  EXPECT_EQ(driver.sink.take(), (Lines{"- a/one", "synced"}));
  EXPECT_EQ(driver.asks(), "watch 2");
}

TEST(Reflector, WhatGoesWrongWithThatQuestionIsHandledAsWithAnyOther) {
  struct Row {
    const char* name;
    std::function<void(Driver&)> happens;
    const char* asks;  // after the wait, if there is one
  };
  const Row rows[] = {
      {"429", [](Driver& d) { d.answer(429, "busy"); }, "?limit=1"},
      {"500", [](Driver& d) { d.answer(500, "oops"); }, "?resourceVersion=10"},
      {"401", [](Driver& d) { d.answer(401, ""); }, "?limit=1"},
      {"403", [](Driver& d) { d.answer(403, ""); }, "?resourceVersion=10"},
      {"404", [](Driver& d) { d.answer(404, ""); }, "?resourceVersion=10"},
      {"garbage", [](Driver& d) { d.answer(200, "<html>"); }, "?resourceVersion=10"},
      {"half an answer", [](Driver& d) { d.answer(200, "{\"kind\":"); }, "?resourceVersion=10"},
      {"no answer", [](Driver& d) { d.pass(Reflector::kListStall); }, "?resourceVersion=10"},
      {"another failure", [](Driver& d) { d.fails(false); }, "?resourceVersion=10"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Driver driver;
    driver.sync();
    driver.fails(true);
    driver.wait();
    row.happens(driver);
    if (driver.reflector.want().request == 0) driver.wait();
    EXPECT_EQ(driver.asks(), row.asks);
    EXPECT_EQ(driver.held(), "one");
  }
}

TEST(Reflector, AWatchInWhichNotEvenABookmarkCameIsFollowedByAList) {
  for (const bool bookmark : {true, false}) {
    Driver driver;
    driver.sync();
    driver.head(200);
    if (bookmark) driver.bytes(bookmark_json("12"));
    driver.now = driver.now + seconds(301);
    driver.end();
    EXPECT_EQ(driver.asks(), bookmark ? "watch 12" : "?resourceVersion=10");
  }
}

TEST(Reflector, OneWrongObjectDoesNotStopTheOthers) {
  const std::string wrong =
      R"({"metadata":{"name":"wrong","namespace":"a","resourceVersion":"8"},"status":{"podIP":"x"}})";
  Driver driver;
  driver.answer(200, list_json("Pod", "10", {pod_json("a", "one", "5"), wrong, pod_json("a", "two", "6")}));
  const std::string line =
      "! a/wrong: Pod a/wrong: podIP: found \"x\", expected an address like 10.0.0.1 or 2001:db8::1";
  EXPECT_EQ(driver.sink.take(), (Lines{line, "+ a/one@5", "+ a/two@6", "synced"}));
  driver.head(200);
  const std::string one_is_wrong =
      R"({"metadata":{"name":"one","namespace":"a","resourceVersion":"11"},"status":{"podIP":"x"}})";
  driver.bytes(
      event_json("MODIFIED", one_is_wrong) + event_json("ADDED", pod_json("a", "wrong", "12")) +
      event_json(
          "DELETED",
          R"({"metadata":{"name":"one","namespace":"a","resourceVersion":"13"},"status":{"podIP":"x"}})"));
  EXPECT_EQ(driver.sink.take(),
            (Lines{"! a/one: Pod a/one: podIP: found \"x\", expected an address like 10.0.0.1 or 2001:db8::1",
                   "ok a/wrong", "ok a/one", "+ a/wrong@12", "- a/one"}));
  driver.pass(seconds(2));
  driver.end();
  EXPECT_EQ(driver.asks(), "watch 13");
}

TEST(Reflector, RemembersWhenItLastHeard) {
  Driver driver;
  driver.sync_and_watch();
  const Instant before = driver.now;
  driver.bytes(bookmark_json("11"));
  driver.now = driver.now + seconds(30);
  EXPECT_EQ(driver.reflector.last_heard(), before);
  EXPECT_EQ(driver.reflector.state().since, before + Duration{-seconds(2).ns});
}

TEST(Reflector, AStateLastsWhileItsDetailChanges) {
  Driver driver;
  driver.fails(true, "one");
  const Instant since = driver.now;
  driver.wait();
  driver.fails(true, "two");
  EXPECT_EQ(driver.sink.take(), (Lines{"failing: one", "failing: two"}));
  EXPECT_EQ(driver.reflector.state().since, since);
}

}  // namespace
}  // namespace postern::agent::kube
