// SPDX-License-Identifier: Apache-2.0
// Policy from a folder of manifests: a node without a cluster, and the way to try the agent. The whole
// folder is read again shortly after anything in it changes. Of an object that is wrong the version before
// stays in force, and of a file whose mistake is about no object that it names, all that it held before;
// the rest goes on. Nothing is enforced before all was right once: what an earlier process left is whole.
//
// Pods say their addresses in status.podIP(s), as the API server shows them; those on this node are found
// by their address.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/loop/event_loop.h"
#include "agent/source/policy_source.h"
#include "agent/source/snapshot_store.h"
#include "engine/manifest/reader.h"

namespace postern::agent {

class DirectorySource final : public PolicySource {
 public:
  // The loop outlives the source.
  DirectorySource(EventLoop& loop, std::string folder) : loop_(loop), folder_(std::move(folder)) {}
  ~DirectorySource() override;

  [[nodiscard]] std::string_view name() const override { return "directory"; }
  // Errors: there is no such folder, or it cannot be watched (io). A folder whose manifests cannot be
  // read at first is no error: it is waited for, and nothing is enforced from it.
  Result<void> start(Listener& listener) override;
  [[nodiscard]] bool synced() const override { return synced_; }
  [[nodiscard]] const ClusterSnapshot& cluster() const override { return store_.cluster(); }
  [[nodiscard]] std::vector<SourceStatus> status() const override;

 private:
  Result<void> watch_folders();
  void drain();
  void read_again();
  using Objects = std::vector<std::shared_ptr<const manifest::Object>>;
  using Files = std::map<std::string, Objects>;
  // What is wrong in the folder, and whose version before stays.
  struct Trouble {
    manifest::Errors errors;
    std::string kept;  // "NetworkPolicy x/a, what b.yaml held"
  };

  void read();
  Objects read_file(const std::string& file, Trouble& trouble) const;
  [[nodiscard]] std::shared_ptr<const manifest::Object> before(const manifest::ObjectRef& ref) const;
  void take(Files files);
  void tell_of_slices();
  void tell_of_trouble(const Trouble& trouble);
  void set_state(SourceStatus::State state);

  EventLoop& loop_;
  std::string folder_;
  Listener* listener_ = nullptr;
  int inotify_ = -1;
  EventLoop::TimerId pending_ = 0;
  Files files_;  // what is in force of each
  SnapshotStore store_;
  std::string said_;  // the errors that were said last
  bool synced_ = false;
  SourceStatus status_;
};

}  // namespace postern::agent
