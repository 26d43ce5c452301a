// SPDX-License-Identifier: Apache-2.0
// Policy from a folder of manifests: a node without a cluster, and the way to try the agent. The whole
// folder is read again shortly after anything in it changes; what cannot be read leaves what was read
// before in force, and says so.
//
// Pods say their addresses in status.podIP(s), as the API server shows them; those on this node are found
// by their address.
#pragma once

#include <string>

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
  void read();
  void fail_reading(const manifest::Errors& errors);
  void set_state(SourceStatus::State state);

  EventLoop& loop_;
  std::string folder_;
  Listener* listener_ = nullptr;
  int inotify_ = -1;
  EventLoop::TimerId pending_ = 0;
  SnapshotStore store_;
  bool synced_ = false;
  SourceStatus status_;
};

}  // namespace postern::agent
