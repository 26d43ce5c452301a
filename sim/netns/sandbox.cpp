// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/sandbox.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "net/system_error.h"
#include "sim/netns/netns.h"

namespace postern::sim {
namespace {

// Read by the signal handler of the process that waits.
volatile sig_atomic_t g_child = 0;

void forward_signal(int signal_number) {
  if (g_child > 0) ::kill(static_cast<pid_t>(g_child), signal_number);
}

// The first process of a PID namespace ignores every signal that has its default action, so the two
// that users send need a handler.
void end_program(int signal_number) { ::_exit(128 + signal_number); }

void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal_number, &action, nullptr);
}

[[noreturn]] void wait_and_exit(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) ::_exit(125);
  }
  ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

Result<void> loopback_up() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq request {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (!socket.valid() || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return tl::unexpected(system_error("cannot set the loopback interface up"));
  }
  return {};
}

// Every pod needs some ten descriptors; the usual soft limit of 1,024 would end at a hundred pods.
void raise_descriptor_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A /proc of the new PID namespace. What it is mounted on must be private first, else it would show
// outside too. Below chroot the root is no mount point and cannot be made private; /proc itself can.
Result<void> mount_fresh_proc() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    if (errno != EINVAL) return tl::unexpected(system_error("cannot make the mounts private"));
    if (::mount("none", "/proc", nullptr, MS_PRIVATE, nullptr) != 0) {
      return tl::unexpected(system_error("cannot make /proc private (is it mounted in this chroot?)"));
    }
  }
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return tl::unexpected(system_error("cannot mount /proc"));
  }
  return {};
}

Result<void> set_up_child(const UniqueFd& parent_alive) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return tl::unexpected(system_error("cannot set the death signal"));
  }
  // The parent may have died before the line above; then its end of the pipe is closed already.
  pollfd alive{parent_alive.get(), POLLIN, 0};
  if (::poll(&alive, 1, 0) != 0) ::_exit(128 + SIGKILL);
  handle(SIGINT, end_program);
  handle(SIGTERM, end_program);

  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
    return tl::unexpected(system_error("cannot make mount and network namespaces"));
  }
  if (auto fresh = mount_fresh_proc(); !fresh) return fresh;
  raise_descriptor_limit();
  return loopback_up();
}

}  // namespace

std::string missing_cluster_rights() {
  struct Capability {
    int bit;
    const char* name;
  };
  // CAP_SYS_ADMIN, needed for the namespaces, includes CAP_BPF and CAP_PERFMON.
  static constexpr std::array<Capability, 3> kNeeded{
      {{12, "CAP_NET_ADMIN"}, {13, "CAP_NET_RAW"}, {21, "CAP_SYS_ADMIN"}}};
  unsigned long long effective = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) == 0) std::istringstream(line.substr(7)) >> std::hex >> effective;
  }
  std::string missing;
  for (const auto& capability : kNeeded) {
    if ((effective >> capability.bit & 1) != 0) continue;
    if (!missing.empty()) missing += ", ";
    missing += capability.name;
  }
  return missing;
}

Result<void> enter_sandbox() {
  if (const std::string missing = missing_cluster_rights(); !missing.empty()) {
    return fail(ErrorCode::permission, "the namespace cluster needs rights that are missing: " + missing +
                                           "; run it as root (sudo)");
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("cannot make a pipe"));
  UniqueFd parent_alive(ends[0]);
  UniqueFd alive(ends[1]);

  // What the parent has buffered must not be written twice.
  std::fflush(nullptr);
  // Only children enter a new PID namespace; this process just waits from here on.
  if (::unshare(CLONE_NEWPID) != 0) return tl::unexpected(system_error("cannot make a PID namespace"));
  const pid_t child = ::fork();
  if (child < 0) return tl::unexpected(system_error("cannot fork"));
  if (child > 0) {
    g_child = child;
    handle(SIGINT, forward_signal);
    handle(SIGTERM, forward_signal);
    parent_alive.reset();
    wait_and_exit(child);
  }
  alive.reset();
  return set_up_child(parent_alive);
}

}  // namespace postern::sim
