// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/private_bpffs.h"

#include <sched.h>
#include <sys/mount.h>

namespace postern::test {
namespace {

std::string mount_one() {
  const std::string folder = "/sys/fs/bpf";
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return {};
  return mount("bpf", folder.c_str(), "bpf", 0, nullptr) == 0 ? folder : std::string{};
}

}  // namespace

const std::string& private_bpffs() {
  static const std::string folder = mount_one();
  return folder;
}

}  // namespace postern::test
