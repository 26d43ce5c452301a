// SPDX-License-Identifier: Apache-2.0
// Somebody else's programs and filters on the hooks of an interface. CountingProgram counts what it sees
// and has no opinion.
#pragma once

#include <cstdint>
#include <vector>

struct bpf_object;

namespace postern::test {

// A filter of priority and handle on a clsact hook, whose qdisc is made if `make_qdisc`. False: refused.
struct ForeignFilter {
  std::uint32_t ifindex = 0;
  bool ingress = true;
  std::uint32_t priority = 1;
  int program_fd = -1;
  bool make_qdisc = true;
};
bool put_foreign_filter(const ForeignFilter& filter);

class CountingProgram {
 public:
  explicit CountingProgram(bool tcx);
  ~CountingProgram();
  CountingProgram(const CountingProgram&) = delete;
  CountingProgram& operator=(const CountingProgram&) = delete;

  void attach(std::uint32_t ifindex, bool ingress);
  // By a filter; without `make_qdisc` only where there is a qdisc already. False: there is none.
  bool try_attach(std::uint32_t ifindex, bool ingress, bool make_qdisc);
  [[nodiscard]] std::uint64_t seen() const;
  [[nodiscard]] int program_fd() const;
  [[nodiscard]] int map_fd() const;

 private:
  bpf_object* object_ = nullptr;
  bool tcx_ = true;
  std::vector<int> links_;
};

}  // namespace postern::test
