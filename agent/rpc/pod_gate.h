// SPDX-License-Identifier: Apache-2.0
// What the gRPC server asks of the agent's loop. Everything here happens on the loop's thread, apart from
// Awaited, which the server reads from its own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/base/result.h"
#include "engine/model/objects.h"

namespace postern::agent {

// What a request still waits for, in words that stand after "waiting for ": whoever works on it keeps
// this up to date, and the caller reads it if time runs out.
class Awaited {
 public:
  explicit Awaited(std::string what) : what_(std::move(what)) {}
  void set(std::string what) {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
  }
  [[nodiscard]] std::string get() const {
    const std::lock_guard lock(mutex_);
    return what_;
  }

 private:
  mutable std::mutex mutex_;
  std::string what_;
};

struct PodRequest {
  NamespacedName pod;
  bool strict = false;      // the mode that the CNI runs this pod in (R25)
  int interface_count = 0;  // as sent; the pod's interfaces, its first the primary one
  std::shared_ptr<Awaited> awaited;
};

// The first call counts; later ones have no effect, also when the caller has long been answered. One that
// is dropped without a call answers with an error.
using Done = std::function<void(Result<void>)>;

class PodGate {
 public:
  virtual ~PodGate() = default;
  // `done` is for the moment at which the pod's policy is in force, or an error: the CNI fails the ADD and
  // kubelet tries again. That includes an agent that is not ready yet. What has been begun goes on when
  // the caller's time is up, so that the next try finds it done.
  virtual void enforce(const PodRequest& request, Done done) = 0;
  // `done` when nothing of the pod is enforced any more; a pod that nobody knows is no error.
  virtual void remove(const NamespacedName& pod, Done done) = 0;
};

}  // namespace postern::agent
