// SPDX-License-Identifier: Apache-2.0
// The filters that stand on the clsact hooks of interfaces, ours and everybody's, as netlink lists them
// in the current network namespace. The list names each filter's program by its id, and a process
// without CAP_SYS_ADMIN can compare that id with those of pinned programs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/tc/attachment.h"

struct mnl_socket;

namespace postern::tc {

struct Filter {
  std::uint32_t ifindex = 0;
  Hook hook = Hook::ingress;
  std::uint32_t priority = 0;
  std::uint32_t protocol = 0;  // EtherType, network order as the kernel has it
  std::uint32_t chain = 0;
  std::uint32_t handle = 0;
  std::string kind;              // "bpf", "flower", ...
  std::uint32_t program_id = 0;  // kind bpf
  std::string name;              // kind bpf: what its maker called it
  friend bool operator==(const Filter&, const Filter&) = default;
};

// One netlink socket, of the namespace that was current when it was opened.
class Filters {
 public:
  static Result<Filters> open();

  // On both hooks. An interface that is not there, or has no clsact qdisc, has none.
  Result<std::vector<Filter>> of(std::uint32_t ifindex);
  // Exactly this one; gone already is no error.
  Result<void> remove(const Filter& filter);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  Result<void> list(std::uint32_t ifindex, Hook hook, std::vector<Filter>& into);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
};

// Every interface of the current network namespace.
std::vector<std::uint32_t> interfaces_here();

}  // namespace postern::tc
