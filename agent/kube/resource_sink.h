// SPDX-License-Identifier: Apache-2.0
// What the watcher tells its owner, on the thread of the event loop.
//
// The watcher holds what is current (Watcher::objects) and reports differences: a whole list that
// differs in nothing from what is held reports nothing. An API server that is away, refuses, or answers
// nonsense changes no object; only the state says so.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/resource.h"
#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/manifest/objects.h"
#include "engine/model/objects.h"

namespace postern::agent::kube {

// One object as the API server has it, stripped to what policy needs. Immutable; whoever wants to may
// keep the pointer.
struct WatchedObject {
  NamespacedName key;  // without a namespace for cluster-wide kinds
  // The identity beyond the name: an object that was deleted and made anew has another.
  std::string uid;
  // Of the version that last changed anything that is kept.
  std::string resource_version;
  bool terminating = false;  // has a metadata.deletionTimestamp
  std::string host_ip;       // status.hostIP of a pod, else empty
  // Read by the reader of manifests as an object of an API server (ReadOptions::live): nothing is
  // assigned, a pod without addresses has none yet.
  manifest::Object content;
};

using ObjectPtr = std::shared_ptr<const WatchedObject>;
using Objects = std::map<NamespacedName, ObjectPtr>;

// What became different in one step: all of a whole list, or the events that arrived together. Each
// object is named once, with its newest version; one that was deleted and made anew counts as changed.
struct Changes {
  std::vector<ObjectPtr> changed;  // added or modified
  std::vector<NamespacedName> deleted;
  // No event said that something was deleted: a whole list was without it, or its kind has been absent for
  // long. So does a server that has lost its objects answer.
  bool from_list = false;
};

enum class WatchState : std::uint8_t {
  starting,   // nothing has come yet
  synced,     // the list is complete and is being followed
  absent,     // the API server has no such resource (a CRD that is not installed); asked again
  forbidden,  // the permission is missing, detail names it; asked again
  failing,    // detail says what is wrong; tried again
};
std::string_view to_string(WatchState state);

struct ResourceState {
  WatchState state = WatchState::starting;
  std::string detail;  // empty when synced
  Instant since;       // when this state began; a new detail alone does not move it
  // A whole list has come at least once, so what is held means something, however old it is.
  bool listed = false;
};

class ResourceSink {
 public:
  virtual ~ResourceSink() = default;
  // Never empty. What a first list holds comes before the state `synced`.
  virtual void changed(ResourceKind resource, const Changes& changes) = 0;
  // An object cannot be read. The version that was held before, if there was one, stays held until a
  // right one comes or the object is deleted. Called once for each wrong version.
  virtual void rejected(ResourceKind resource, const NamespacedName& key,
                        const std::vector<Error>& errors) = 0;
  // An object that was rejected is right now, or is gone.
  virtual void accepted(ResourceKind resource, const NamespacedName& key) = 0;
  // State or detail are others than before.
  virtual void state(ResourceKind resource, const ResourceState& state) = 0;
};

}  // namespace postern::agent::kube
