// SPDX-License-Identifier: Apache-2.0
// Puts a program on a hook of an interface and takes it off again. With TCX (kernel 6.6 and later)
// an attachment is a link, which lives as long as its descriptor or its pin; before that it is a filter
// of the clsact qdisc under a priority and handle of our own, which outlives the process by itself.
// Either way ours goes first, and other programs on the hook stay: what it lets pass goes on to them,
// what it drops they never see.
//
// A pinned attachment is known by the folder of its interface. There a TCX link is the pin `ingress` or
// `egress`; a filter, which cannot be pinned, has a folder `ingress-clsact` or `egress-clsact` for a
// mark, and `qdisc` says that the qdisc was made for them. These names are the same in every version
// of Postern, since each takes over from any other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::tc {

// Always the interface's view: on the host side of a veth, ingress is what the pod sends.
enum class Hook : std::uint8_t { ingress, egress };
inline constexpr Hook kHooks[] = {Hook::ingress, Hook::egress};
const char* name_of(Hook hook);

enum class AttachKind : std::uint8_t { tcx, clsact };

// TCX if this kernel has it. Asks the kernel once per process; a process without the rights to ask
// gets clsact, and the same refusal again when it attaches.
AttachKind best_attach_kind();

// Where an attachment is, in the current network namespace, and where it is pinned.
struct HookPlace {
  std::uint32_t ifindex = 0;
  Hook hook = Hook::ingress;
  std::string folder;  // of the interface, made if it is not there; empty: not pinned
};

// A program on one hook. When destroyed: taken off, unless it is pinned, which stays.
class Attachment {
 public:
  virtual ~Attachment() = default;
  [[nodiscard]] virtual AttachKind kind() const = 0;
  // False once the interface is gone (its index may belong to another one by now).
  [[nodiscard]] virtual bool alive() const = 0;
  // The hook runs this program from now on: each packet meets the old one or the new one.
  virtual Result<void> replace(int program_fd) = 0;
  // Of a pinned one: to another folder.
  virtual Result<void> move_to(const std::string& folder) = 0;
  // Off the hook, and its pin or mark removed. An interface that is gone is no error.
  virtual Result<void> take_off() = 0;
};

// Errors: permission, not_found (no such interface), io. After an error nothing is attached or pinned.
Result<std::unique_ptr<Attachment>> attach_program(AttachKind kind, const HookPlace& place, int program_fd);

// What is pinned in place.folder for the hook, of either kind, dead or alive. Errors: what stands there
// is not what its name says.
Result<std::vector<std::unique_ptr<Attachment>>> pinned_attachments(const HookPlace& place);

}  // namespace postern::tc
