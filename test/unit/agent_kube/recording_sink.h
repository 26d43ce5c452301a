// SPDX-License-Identifier: Apache-2.0
// A sink that writes down what it is told, one line a call:
//   "+ shop/web@7" changed, "- shop/web" deleted, "! shop/web: why" rejected, "ok shop/web" accepted,
//   "synced", "failing: why".
#pragma once

#include <string>
#include <vector>

#include "agent/kube/resource_sink.h"

namespace postern::agent::kube {

class RecordingSink : public ResourceSink {
 public:
  void changed(ResourceKind /*resource*/, const Changes& changes) override {
    for (const auto& object : changes.changed) {
      lines.push_back("+ " + name(object->key) + "@" + object->resource_version);
    }
    for (const auto& key : changes.deleted) lines.push_back("- " + name(key));
    ++batches;
    from_list = changes.from_list;
  }
  void rejected(ResourceKind /*resource*/, const NamespacedName& key,
                const std::vector<Error>& errors) override {
    lines.push_back("! " + name(key) + ": " + (errors.empty() ? "nothing" : errors.front().to_string()));
  }
  void accepted(ResourceKind /*resource*/, const NamespacedName& key) override {
    lines.push_back("ok " + name(key));
  }
  void state(ResourceKind /*resource*/, const ResourceState& state) override {
    lines.push_back(std::string(to_string(state.state)) + (state.detail.empty() ? "" : ": " + state.detail));
  }

  static std::string name(const NamespacedName& key) { return key.ns.empty() ? key.name : key.to_string(); }

  // What came since the last call.
  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  int batches = 0;
  bool from_list = false;  // of the last batch
};

}  // namespace postern::agent::kube
