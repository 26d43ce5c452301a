// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/counting_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <postern_count.skel.h>
#include <unistd.h>

#include "backends/tc/libbpf_log.h"

namespace postern::test {

CountingProgram::CountingProgram(bool tcx) : tcx_(tcx) {
  std::size_t size = 0;
  const void* bytes = postern_count__elf_bytes(&size);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "count";
  object_ = bpf_object__open_mem(bytes, size, &options);
  EXPECT_EQ(bpf_object__load(object_), 0);
}

CountingProgram::~CountingProgram() {
  for (const int link : links_) close(link);
  bpf_object__close(object_);
}

int CountingProgram::program_fd() const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_, "count"));
}

int CountingProgram::map_fd() const { return bpf_object__find_map_fd_by_name(object_, "seen"); }

void CountingProgram::attach(std::uint32_t ifindex, bool ingress) {
  if (!tcx_) {
    EXPECT_TRUE(try_attach(ifindex, ingress, true));
    return;
  }
  const auto type = static_cast<bpf_attach_type>(ingress ? 46 : 47);
  links_.push_back(bpf_link_create(program_fd(), static_cast<int>(ifindex), type, nullptr));
  EXPECT_GE(links_.back(), 0);
}

bool CountingProgram::try_attach(std::uint32_t ifindex, bool ingress, bool make_qdisc) {
  return put_foreign_filter({ifindex, ingress, 1, program_fd(), make_qdisc});
}

bool put_foreign_filter(const ForeignFilter& filter) {
  tc::LibbpfLog quiet;
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(filter.ifindex);
  hook.attach_point = filter.ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  if (filter.make_qdisc) bpf_tc_hook_create(&hook);
  bpf_tc_opts place{};
  place.sz = sizeof place;
  place.prog_fd = filter.program_fd;
  place.handle = 1;
  place.priority = filter.priority;
  return bpf_tc_attach(&hook, &place) == 0;
}

std::uint64_t CountingProgram::seen() const {
  const std::uint32_t zero = 0;
  std::uint64_t packets = 0;
  bpf_map_lookup_elem(map_fd(), &zero, &packets);
  return packets;
}

}  // namespace postern::test
