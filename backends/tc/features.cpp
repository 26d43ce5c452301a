// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "backends/tc/attachment.h"
#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

std::string kernel_release() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

// Why the kernel said no, with the rights that are missing.
std::string refusal(int error) {
  const auto failure = fail_errno("refused", error);
  return failure.value().message;
}

// return 0
constexpr std::array<bpf_insn, 2> kEmptyProgram{{
    {0xb7, 0, 0, 0, 0},
    {0x95, 0, 0, 0, 0},
}};

Feature probe_attachment(bool may_load) {
  if (!may_load) return {"attachment", false, "not asked: BPF programs may not be loaded"};
  const AttachKind kind = best_attach_kind();
  return {"attachment", true,
          kind == AttachKind::tcx ? "TCX" : "clsact (this kernel has no TCX, which came with 6.6)"};
}

Feature probe_ring_buffer() {
  LibbpfLog quiet;
  const auto page = static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE));
  const int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "pn_probe", 0, 0, page, nullptr);
  if (fd < 0) {
    const int error = errno;
    return {"ring buffer", false, error == EINVAL ? "kernel 5.8 or later is needed" : refusal(error)};
  }
  close(fd);
  return {"ring buffer", true, "yes"};
}

// A child makes them, and they end with it.
Feature probe_namespaces() {
  const std::string name = "namespaces";
  const pid_t child = fork();
  if (child < 0) return {name, false, std::string("cannot fork: ") + std::strerror(errno)};
  if (child == 0) _exit(unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) == 0 ? 0 : errno & 0xff);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return {name, false, "the probe died"};
  const int error = WEXITSTATUS(status);
  if (error == 0) return {name, true, "network, mount and process namespaces can be made"};
  if (error == EPERM) return {name, false, "not permitted; missing: CAP_SYS_ADMIN (run as root)"};
  return {name, false, std::strerror(error)};
}

// Opening such a socket may load a kernel module that then stays: look, do not touch.
Feature probe_sctp() {
  std::ifstream protocols("/proc/net/protocols");
  for (std::string line; std::getline(protocols, line);) {
    if (line.rfind("SCTP ", 0) == 0) return {"SCTP sockets", true, "yes"};
  }
  const std::string modules = "/lib/modules/" + kernel_release() + "/kernel/net/sctp/sctp.ko";
  for (const char* suffix : {"", ".xz", ".gz", ".zst"}) {
    if (access((modules + suffix).c_str(), R_OK) == 0) return {"SCTP sockets", true, "as a module"};
  }
  return {"SCTP sockets", false, "not in this kernel; SCTP handshakes are sent as raw packets"};
}

Feature libbpf_version() {
  return {"libbpf", true,
          std::to_string(libbpf_major_version()) + "." + std::to_string(libbpf_minor_version())};
}

}  // namespace

Feature probe_bpf() {
  LibbpfLog quiet;
  const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pn_probe", "Dual BSD/GPL", kEmptyProgram.data(),
                               kEmptyProgram.size(), nullptr);
  if (fd < 0) return {"BPF programs", false, refusal(errno)};
  close(fd);
  // The kernel takes this one without CAP_PERFMON, but not one that walks a packet.
  if (const std::string missing = missing_capabilities(); !missing.empty()) {
    return {"BPF programs", false,
            "missing: " + missing + " (run as root, or give the program these capabilities)"};
  }
  return {"BPF programs", true, "may be loaded"};
}

std::vector<Feature> probe_features() {
  const Feature bpf = probe_bpf();
  return {{"kernel", true, kernel_release()},
          bpf,
          probe_attachment(bpf.available),
          probe_ring_buffer(),
          probe_namespaces(),
          probe_sctp(),
          libbpf_version()};
}

}  // namespace postern::tc
