// SPDX-License-Identifier: Apache-2.0
// One packet through the kernel's own program, of which nobody but the caller learns. Running the pinned
// program would open connections and count packets for real; so the same object is loaded once more, aside.
// It reads the very tables of policy that are in force, but for four of which it has its own: the record of
// the pod, which asks for an event, its slot, and no connections and counters but new ones. It all goes
// with the trial.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "backends/tc/pinned_node.h"
#include "engine/enforce/backend.h"

struct bpf_object;

namespace postern::tc {

class Trial {
 public:
  // `direction` is the pod's; `slot` and `pod` are of the interface that the packet passes (engine/decode
  // reads them). The pinned node outlives the trial. Errors: permission, io.
  static Result<std::unique_ptr<Trial>> load(const PinnedNode& node, std::uint32_t direction, std::uint64_t slot,
                                             const pn_pod& pod);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // The packet is the first of its connection. Errors: io.
  Result<Classified> run(std::span<const std::byte> frame);
  // Whether these instructions are those of the pinned program: else another build stands in force.
  [[nodiscard]] Result<bool> is_the_pinned_program() const;

 private:
  Trial(const PinnedNode& node, std::uint32_t direction) : node_(node), direction_(direction) {}
  Result<void> load_object();
  Result<void> fill(std::uint64_t slot, pn_pod pod);

  const PinnedNode& node_;
  std::uint32_t direction_;
  bpf_object* object_ = nullptr;
};

}  // namespace postern::tc
