// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/object_store.h"

#include <algorithm>
#include <set>
#include <utility>

namespace postern::agent::kube {

namespace {

bool says_the_same(const WatchedObject& a, const WatchedObject& b) {
  return a.uid == b.uid && a.terminating == b.terminating && a.host_ip == b.host_ip &&
         a.content.value == b.content.value;
}

}  // namespace

ObjectPtr ObjectStore::intern(WatchedObject object) const {
  const auto held = objects_.find(object.key);
  if (held != objects_.end() && says_the_same(*held->second, object)) return held->second;
  return std::make_shared<const WatchedObject>(std::move(object));
}

void ObjectStore::touch(const NamespacedName& key) {
  const auto held = objects_.find(key);
  before_.emplace(key, held == objects_.end() ? nullptr : held->second);
}

void ObjectStore::accept(const NamespacedName& key) {
  if (rejected_.erase(key) != 0) sink_.accepted(kind_, key);
}

void ObjectStore::put(ObjectPtr object) {
  accept(object->key);
  touch(object->key);
  objects_[object->key] = std::move(object);
}

void ObjectStore::erase(const NamespacedName& key) {
  accept(key);
  touch(key);
  objects_.erase(key);
}

void ObjectStore::reject(const Rejection& rejection) {
  const auto [known, first] = rejected_.emplace(rejection.key, rejection.resource_version);
  if (!first && known->second == rejection.resource_version && !rejection.resource_version.empty()) return;
  known->second = rejection.resource_version;
  sink_.rejected(kind_, rejection.key, rejection.errors);
}

void ObjectStore::replace(std::vector<ObjectPtr> listed, const std::vector<Rejection>& rejections) {
  replaced_ = true;
  std::set<NamespacedName> present;
  bool complete = true;
  for (const auto& rejection : rejections) {
    complete = complete && !rejection.key.name.empty();
    present.insert(rejection.key);
    reject(rejection);
  }
  for (auto& object : listed) {
    present.insert(object->key);
    put(std::move(object));
  }
  if (!complete) return;
  std::vector<NamespacedName> gone;
  for (const auto& entry : objects_) {
    if (!present.contains(entry.first)) gone.push_back(entry.first);
  }
  for (const auto& entry : rejected_) {
    if (!present.contains(entry.first)) gone.push_back(entry.first);
  }
  for (const auto& key : gone) erase(key);
}

void ObjectStore::flush() {
  Changes changes;
  changes.from_list = std::exchange(replaced_, false);
  for (const auto& [key, before] : std::exchange(before_, {})) {
    const auto now = objects_.find(key);
    if (now == objects_.end()) {
      if (before != nullptr) changes.deleted.push_back(key);
    } else if (now->second != before) {
      changes.changed.push_back(now->second);
    }
  }
  if (!changes.changed.empty() || !changes.deleted.empty()) sink_.changed(kind_, changes);
}

}  // namespace postern::agent::kube
