// SPDX-License-Identifier: Apache-2.0
// Lists and watches resources of one API server on the event loop's thread, and tells a sink what
// becomes different. Each resource goes its own way: one that is absent or forbidden holds up no other.
//
// Typical use:
//   auto config = find_cluster_config(ConfigSources::of_environment(flag));   // cluster_config.h
//   auto api = ApiClient::make(loop, *config);                               // api_client.h
//   Watcher watcher(loop, **api, sink, {.resources = {...}, .seed = ...});
//   watcher.start(); loop.run();
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/resource_sink.h"
#include "agent/loop/event_loop.h"

namespace postern::agent::kube {

class ApiClient;

class Watcher {
 public:
  struct Options {
    std::vector<ResourceKind> resources;
    std::uint64_t seed = 0;  // of the jitter
    // What of a resource to watch, as the API's fieldSelector: {pods, "spec.nodeName=node-1"}. Without one
    // everything.
    std::map<ResourceKind, std::string> field_selectors{};
  };

  // Loop, client and sink outlive the watcher.
  Watcher(EventLoop& loop, ApiClient& api, ResourceSink& sink, Options options);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Begins with every resource. The sink is called from the loop, never from within start().
  void start();

  // What is held now. A resource that is not watched has nothing and is `starting`.
  [[nodiscard]] const Objects& objects(ResourceKind resource) const;
  [[nodiscard]] const ResourceState& state(ResourceKind resource) const;
  // The newest resourceVersion that it has named for a resource; empty: none yet.
  [[nodiscard]] std::string version(ResourceKind resource) const;
  // Whole lists that were begun, the first one included.
  [[nodiscard]] std::uint64_t lists(ResourceKind resource) const;
  // When the API server last said anything about a resource: bytes of a list or a watch.
  [[nodiscard]] Instant last_heard(ResourceKind resource) const;

 private:
  struct Channel;
  [[nodiscard]] const Channel* find(ResourceKind resource) const;

  EventLoop& loop_;
  ApiClient& api_;
  ResourceSink& sink_;
  std::vector<std::unique_ptr<Channel>> channels_;
};

}  // namespace postern::agent::kube
