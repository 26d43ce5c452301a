// SPDX-License-Identifier: Apache-2.0
// What outlives the agent, as folders and pins under its pin path:
//
//   <pin path>/v5/generation-7/pn_from_pod, pn_to_pod, pn_node, ...   programs and maps of one process
//   <pin path>/v5/interfaces/12/ingress, egress                       its attachments (attachment.h)
//
// A generation appears by one rename and goes by one, so it is there whole or not at all; `building`
// and `removing-7` are leftovers of a killed process. The tables of a generation are its own,
// that of fragments among them.
// Connections, counters and both rings of events are the same maps in each generation of a version. A version is
// PN_ABI_VERSION; of another one only the interfaces are taken over, whose names never change.
//
// Whoever has the store open holds a lock on the pin path's folder itself (flock), so the lock is
// shared by exactly those who share the pins, in whatever container they run, and ends with them.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/tc/attachment.h"
#include "net/fd.h"

struct bpf_object;

namespace postern::tc {

// The maps that a new process reads or goes on with.
struct PinnedGeneration {
  std::uint32_t number = 0;
  UniqueFd node, slots, slots_far, pods;   // what judged
  UniqueFd connections, counters, events, monitor;  // what goes on
  std::uint32_t conntrack_buckets = 0;
};

// By hook. More than one only where a process was killed between two kinds or two versions.
using PinnedHooks = std::array<std::vector<std::unique_ptr<Attachment>>, 2>;

class PinStore {
 public:
  // Errors: unsupported (no BPF file system there; names the mount command), permission, io, and
  // invalid_input: another process holds the path, or what stands under a name of ours is not ours.
  static Result<std::unique_ptr<PinStore>> open(const std::string& path);
  ~PinStore();
  PinStore(const PinStore&) = delete;
  PinStore& operator=(const PinStore&) = delete;

  // Newest first: those of this version that are whole.
  [[nodiscard]] const std::vector<PinnedGeneration>& generations() const { return generations_; }
  // Attachments of all versions by ifindex. Those whose interface is gone are removed.
  Result<std::map<std::uint32_t, PinnedHooks>> take_interfaces();
  [[nodiscard]] std::string interface_folder(std::uint32_t ifindex) const;
  // Removes an interface's folder when nothing is left in it.
  Result<void> drop_interface(std::uint32_t ifindex);

  // Pins the programs and maps of a loaded object as the newest generation.
  Result<void> publish(const bpf_object* object);
  // Removes every other generation, and other versions that hold no interface any more.
  Result<void> retire_others();

  // Lines for the log since the last call.
  std::vector<std::string> take_notes();

 private:
  explicit PinStore(std::string path);
  Result<void> read_generations();
  [[nodiscard]] std::string version_folder() const;

  std::string path_;
  UniqueFd lock_;
  std::vector<PinnedGeneration> generations_;
  std::uint32_t last_number_ = 0;
  std::string own_folder_;  // published generation
  std::vector<std::string> notes_;
};

// Who holds the pin path: "process 12", as far as /proc/locks shows; empty: nobody. Takes no lock.
std::string holder_of_pin_path(const std::string& path);

// For removal without an agent (uninstall.h): folders of all versions, and what one holds.
Result<UniqueFd> lock_pin_path(const std::string& path);
Result<std::vector<std::string>> version_folders(const std::string& path);
Result<std::vector<std::uint32_t>> pinned_interfaces(const std::string& version_folder);
Result<std::vector<std::string>> generation_folders(const std::string& version_folder);
// Removes pins of ours and then the folder; false: somebody else's pins are left in it.
Result<bool> remove_generation(const std::string& folder);

}  // namespace postern::tc
