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
#include <set>
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
  struct Held {
    std::shared_ptr<const manifest::Object> object;
    // A version before, for one that is wrong or in a file that cannot be read; a right one elsewhere counts more.
    bool stands_in = false;
  };
  using Objects = std::vector<Held>;
  using Files = std::map<std::string, Objects>;
  // What is wrong in the folder, and whose version before stays.
  struct Trouble {
    std::vector<std::string> errors;  // each names the object that it is about, if it is about one
    std::size_t objects = 0;          // those, and each error that is about none
    std::string kept;                 // "NetworkPolicy x/a, what b.yaml held"
    std::set<NamespacedName> slices;  // PolicyEndpoints among those
  };

  void read();
  Objects read_file(const std::string& file, Trouble& trouble) const;
  [[nodiscard]] std::shared_ptr<const manifest::Object> before(const manifest::ObjectRef& ref) const;
  static void add_errors(const manifest::PartialManifest& read, Trouble& trouble);
  void take(Files files, const std::set<NamespacedName>& refused_slices);
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
