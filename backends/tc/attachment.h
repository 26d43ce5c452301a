// SPDX-License-Identifier: Apache-2.0
// Puts a program on a hook of an interface and takes it off again. With TCX (kernel 6.6 and later)
// an attachment is a link that lives as long as its descriptor; before that it is a filter of the
// clsact qdisc under a priority and handle of our own, which outlives the process unless it is taken
// off. Either way ours goes first, and other programs on the hook stay: what it lets pass goes on to
// them, what it drops they never see.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/result.h"

namespace postern::tc {

// Always the interface's view: on the host side of a veth, ingress is what the pod sends.
enum class Hook : std::uint8_t { ingress, egress };

enum class AttachKind : std::uint8_t { tcx, clsact };

// TCX if this kernel has it. Asks the kernel once per process; a process without the rights to ask
// gets clsact, and the same refusal again when it attaches.
AttachKind best_attach_kind();

// A program on one hook. Taken off when destroyed.
class Attachment {
 public:
  virtual ~Attachment() = default;
  // False once the interface is gone (its index may belong to another one by now).
  [[nodiscard]] virtual bool alive() const = 0;
};

// In the current network namespace. Errors: permission, not_found (no such interface), io.
Result<std::unique_ptr<Attachment>> attach_program(AttachKind kind, std::uint32_t ifindex, Hook hook,
                                                   int program_fd);

}  // namespace postern::tc
