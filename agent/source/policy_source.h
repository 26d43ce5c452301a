// SPDX-License-Identifier: Apache-2.0
// The port behind which policy comes: a cluster's API server, the controller's PolicyEndpoints, a folder
// of manifests. A source keeps a ClusterSnapshot current and says when it has changed; it lives on the
// agent's loop, as everything that reads the snapshot does.
//
// A source that loses touch keeps the snapshot it had: an outage changes nothing that is enforced, and
// neither does a server that has lost what it held.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/model/snapshot.h"

namespace postern::agent {

// How it stands with one kind of object.
struct SourceStatus {
  enum class State : std::uint8_t {
    starting,  // not read yet
    synced,    // read whole, and followed since
    absent,    // it is done without: the server does not know the kind, as its CRD is not installed, or
               // the account may not read it, of a kind of which that is no failure; `detail` says which
    failing,   // what was read stands, but may be stale; `detail` says why
  };
  std::string resource;  // "networkpolicies", or the path of a folder
  State state = State::starting;
  std::string detail;            // empty when all is well
  Instant since;                 // of the state
  std::string resource_version;  // the last one seen; empty where there is no such thing
  // What came last is not in cluster() yet, though it is in resource_version: it waits to be confirmed.
  bool held = false;
  std::uint64_t lists = 0;       // how often it was read whole; more than once: it could not be followed on
  std::size_t rejected = 0;      // objects that could not be read; their last good version stands
  // Policies whose slices disagree now, and how often some came to. The last slices that agreed stand.
  std::size_t disagreeing = 0;
  std::uint64_t disagreements = 0;
};

const char* to_string(SourceStatus::State state);

class PolicySource {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // Once all is read for the first time, and after each change from then on.
    virtual void cluster_changed() = 0;
    // Once when it comes up. An error: something is not enforced as it is written, as an object is refused.
    virtual void source_error(const std::string& text) = 0;
    // What an operator should know: touch lost.
    virtual void source_warning(const std::string& text) = 0;
    virtual void source_notice(const std::string& text) = 0;
  };

  virtual ~PolicySource() = default;
  // As the setting names it: "kubernetes", "policyendpoints", "directory".
  [[nodiscard]] virtual std::string_view name() const = 0;
  // The listener outlives the source. Errors: what will not mend by waiting.
  virtual Result<void> start(Listener& listener) = 0;
  // Everything that exists was read at least once. Never falls back to false.
  [[nodiscard]] virtual bool synced() const = 0;
  [[nodiscard]] virtual const ClusterSnapshot& cluster() const = 0;
  [[nodiscard]] virtual std::vector<SourceStatus> status() const = 0;
};

}  // namespace postern::agent
