// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/object_store.h"

#include <gtest/gtest.h>

#include "test/unit/agent_kube/recording_sink.h"

namespace postern::agent::kube {
namespace {

using Told = std::vector<std::string>;

WatchedObject ns(const std::string& name, const std::string& version, const std::string& label,
                 const std::string& uid = "u") {
  Namespace value;
  value.name = name;
  value.labels["l"] = label;
  WatchedObject object;
  object.key = {"", name};
  object.uid = uid;
  object.resource_version = version;
  object.content = manifest::Object{{}, "Namespace", value};
  return object;
}

Rejection rejection(const std::string& name, const std::string& version) {
  return {{"", name}, version, {{ErrorCode::invalid_input, "wrong", {}}}};
}

class ObjectStoreTest : public ::testing::Test {
 protected:
  void put(WatchedObject object) { store.put(store.intern(std::move(object))); }
  void replace(std::vector<WatchedObject> objects, const std::vector<Rejection>& rejections = {}) {
    std::vector<ObjectPtr> listed;
    for (auto& object : objects) listed.push_back(store.intern(std::move(object)));
    store.replace(std::move(listed), rejections);
  }
  Told flush() {
    store.flush();
    return sink.take();
  }

  RecordingSink sink;
  ObjectStore store{ResourceKind::namespaces, sink};
};

TEST_F(ObjectStoreTest, TellsWhatIsDifferentSinceTheLastTimeAndEachObjectOnce) {
  put(ns("a", "1", "x"));
  put(ns("b", "2", "x"));
  put(ns("a", "3", "y"));
  EXPECT_EQ(flush(), (Told{"+ a@3", "+ b@2"}));
  EXPECT_EQ(sink.batches, 1);
  EXPECT_EQ(flush(), Told{});
  store.erase({"", "a"});
  put(ns("b", "5", "z"));
  EXPECT_EQ(flush(), (Told{"+ b@5", "- a"}));
  EXPECT_EQ(store.objects().size(), 1u);
}

TEST_F(ObjectStoreTest, AnObjectThatSaysNothingNewIsNoChange) {
  put(ns("a", "1", "x"));
  flush();
  put(ns("a", "2", "x"));
  EXPECT_EQ(flush(), Told{});
  EXPECT_EQ(store.objects().begin()->second->resource_version, "1");
  put(ns("a", "3", "x", "another uid"));
  EXPECT_EQ(flush(), (Told{"+ a@3"}));
  auto terminating = ns("a", "4", "x", "another uid");
  terminating.terminating = true;
  put(terminating);
  EXPECT_EQ(flush(), (Told{"+ a@4"}));
  auto moved = terminating;
  moved.host_ip = "192.0.2.1";
  put(moved);
  EXPECT_EQ(flush(), (Told{"+ a@4"}));
}

TEST_F(ObjectStoreTest, WhatComesAndGoesBetweenTwoTellingsIsNotTold) {
  put(ns("a", "1", "x"));
  store.erase({"", "a"});
  store.erase({"", "never there"});
  EXPECT_EQ(flush(), Told{});
}

TEST_F(ObjectStoreTest, AListReplacesWhatIsHeld) {
  replace({ns("a", "1", "x"), ns("b", "1", "x"), ns("c", "1", "x")});
  EXPECT_EQ(flush(), (Told{"+ a@1", "+ b@1", "+ c@1"}));
  replace({ns("c", "2", "x"), ns("a", "2", "y"), ns("d", "2", "x")});
  EXPECT_EQ(flush(), (Told{"+ a@2", "+ d@2", "- b"}));
  replace({});
  EXPECT_EQ(flush(), (Told{"- a", "- c", "- d"}));
}

TEST_F(ObjectStoreTest, WhatAListHasDeletedIsToldFromWhatAnEventHas) {
  replace({ns("a", "1", "x"), ns("b", "1", "x")});
  flush();
  EXPECT_TRUE(sink.from_list);
  store.erase({"", "a"});
  EXPECT_EQ(flush(), (Told{"- a"}));
  EXPECT_FALSE(sink.from_list);
  replace({});
  EXPECT_EQ(flush(), (Told{"- b"}));
  EXPECT_TRUE(sink.from_list);
  replace({});
  flush();
  put(ns("c", "2", "x"));
  flush();
  EXPECT_FALSE(sink.from_list) << "a list that changed nothing has been told";
}

TEST_F(ObjectStoreTest, ARejectedObjectLeavesItsLastRightVersion) {
  put(ns("a", "1", "x"));
  flush();
  store.reject(rejection("a", "2"));
  store.reject(rejection("a", "2"));
  store.reject(rejection("new", "2"));
  EXPECT_EQ(flush(), (Told{"! a: wrong", "! new: wrong"}));
  EXPECT_EQ(store.objects().size(), 1u);
  store.reject(rejection("a", "3"));
  EXPECT_EQ(flush(), (Told{"! a: wrong"}));
  put(ns("a", "4", "x"));
  EXPECT_EQ(flush(), (Told{"ok a"}));
  store.reject(rejection("a", "5"));
  store.erase({"", "a"});
  store.erase({"", "new"});
  EXPECT_EQ(flush(), (Told{"! a: wrong", "ok a", "ok new", "- a"}));
}

TEST_F(ObjectStoreTest, WhatAListRejectsIsNotDeletedByIt) {
  replace({ns("a", "1", "x"), ns("b", "1", "x")});
  flush();
  replace({ns("b", "1", "x")}, {rejection("a", "2")});
  EXPECT_EQ(flush(), (Told{"! a: wrong"}));
  EXPECT_EQ(store.objects().size(), 2u);
  replace({ns("b", "1", "x")});
  EXPECT_EQ(flush(), (Told{"ok a", "- a"}));
}

TEST_F(ObjectStoreTest, AListWithAnObjectThatNobodyCanNameDeletesNothing) {
  replace({ns("a", "1", "x")});
  flush();
  replace({ns("b", "1", "x")}, {rejection("", "")});
  EXPECT_EQ(flush(), (Told{"! : wrong", "+ b@1"}));
  EXPECT_EQ(store.objects().size(), 2u);
  replace({ns("b", "1", "x")});
  EXPECT_EQ(flush(), (Told{"ok ", "- a"}));
}

}  // namespace
}  // namespace postern::agent::kube
