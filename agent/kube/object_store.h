// SPDX-License-Identifier: Apache-2.0
// What is current of one resource, and the sink's view of it: changes are gathered and told in one step.
// An object that says nothing new (most updates of pods and nodes) is no change.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/kube/object_decoder.h"
#include "agent/kube/resource_sink.h"

namespace postern::agent::kube {

class ObjectStore {
 public:
  ObjectStore(ResourceKind kind, ResourceSink& sink) : kind_(kind), sink_(sink) {}

  [[nodiscard]] const Objects& objects() const { return objects_; }

  // The pointer that is held if it says the same, else a new one. A list that is still coming thus takes
  // memory only for what is different.
  [[nodiscard]] ObjectPtr intern(WatchedObject object) const;

  void put(ObjectPtr object);
  void erase(const NamespacedName& key);
  // What is held under the key stays.
  void reject(const Rejection& rejection);
  // A whole list: what is neither in it nor rejected in it is deleted. If a rejected object has no name,
  // nobody knows what is missing, and nothing is deleted.
  void replace(std::vector<ObjectPtr> listed, const std::vector<Rejection>& rejections);
  // Tells the sink of everything since the last time.
  void flush();

 private:
  void touch(const NamespacedName& key);
  void accept(const NamespacedName& key);

  ResourceKind kind_;
  ResourceSink& sink_;
  Objects objects_;
  Objects before_;  // of the objects touched since the last flush, what the sink knows; null: nothing
  std::map<NamespacedName, std::string> rejected_;  // and the version that was
  bool replaced_ = false;                           // since the last flush
};

}  // namespace postern::agent::kube
