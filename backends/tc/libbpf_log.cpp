// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/libbpf_log.h"

#include <bpf/libbpf.h>
#include <sys/capability.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

namespace postern::tc {
namespace {

thread_local std::string* current_log = nullptr;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
int collect(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (current_log == nullptr || level == LIBBPF_DEBUG) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  if (length > 0) {
    std::string line(static_cast<std::size_t>(length) + 1, '\0');
    std::vsnprintf(line.data(), line.size(), format, again);
    line.pop_back();
    current_log->append(line);
  }
  va_end(again);
  return length;
}
#pragma GCC diagnostic pop

bool effective(cap_t capabilities, cap_value_t value) {
  cap_flag_value_t flag = CAP_CLEAR;
  return cap_get_flag(capabilities, value, CAP_EFFECTIVE, &flag) == 0 && flag == CAP_SET;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool in_user_namespace() {
  std::istringstream fields(first_line("/proc/self/uid_map"));
  unsigned long inside = 0, outside = 0, count = 0;
  if (!(fields >> inside >> outside >> count)) return false;
  return inside != 0 || outside != 0 || count != 4294967295ul;
}

}  // namespace

LibbpfLog::LibbpfLog() : previous_(current_log) {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(collect); });
  current_log = &text_;
}

LibbpfLog::~LibbpfLog() { current_log = previous_; }

std::string LibbpfLog::tail(std::size_t limit) const {
  std::string text = text_;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.size() <= limit) return text;
  const std::size_t cut = text.find('\n', text.size() - limit);
  return "[...]\n" + (cut == std::string::npos ? text.substr(text.size() - limit) : text.substr(cut + 1));
}

std::string missing_capabilities() {
  cap_t capabilities = cap_get_proc();
  if (capabilities == nullptr) return {};
  std::string missing;
  const bool all = effective(capabilities, CAP_SYS_ADMIN);
  const auto need = [&](cap_value_t value, const char* name, bool admin_will_do) {
    if (effective(capabilities, value) || (all && admin_will_do)) return;
    missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need(CAP_BPF, "CAP_BPF", true);
  need(CAP_NET_ADMIN, "CAP_NET_ADMIN", false);
  need(CAP_PERFMON, "CAP_PERFMON", true);
  cap_free(capabilities);
  return missing;
}

std::string other_obstacles() {
  std::string text;
  const auto add = [&](const std::string& reason) { text += (text.empty() ? "" : "; ") + reason; };
  if (in_user_namespace()) add("this is a user namespace, and BPF needs the capabilities of the initial one");
  const std::string lockdown = first_line("/sys/kernel/security/lockdown");
  if (lockdown.find("[confidentiality]") != std::string::npos)
    add("kernel lockdown is in confidentiality mode");
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Seccomp:", 0) == 0 && line.find('2') != std::string::npos) {
      add("a seccomp filter is active (a container runtime's default profile refuses bpf())");
    }
  }
  return text;
}

tl::unexpected<Error> fail_errno(std::string_view what, int error, const LibbpfLog* log) {
  std::string message(what);
  message += ": ";
  message += std::strerror(error);
  ErrorCode code = ErrorCode::io;
  if (error == EPERM || error == EACCES) {
    const std::string missing = missing_capabilities();
    const std::string other = other_obstacles();
    if (!missing.empty()) {
      code = ErrorCode::permission;
      message += "; missing: " + missing + " (run as root, or give the program these capabilities)";
    }
    if (!other.empty()) {
      code = ErrorCode::permission;
      message += "; " + other;
    }
    // EPERM with every right is still a right that is missing; EACCES then is the verifier's.
    if (error == EPERM) code = ErrorCode::permission;
  } else if (error == EOPNOTSUPP || error == ENOSYS) {
    code = ErrorCode::unsupported;
    utsname name{};
    if (uname(&name) == 0)
      message += std::string("; this kernel is ") + name.release + ", 5.10 or later is needed";
  }
  if (log != nullptr && code != ErrorCode::permission) {
    const std::string said = log->tail();
    if (!said.empty()) message += "\n" + said;
  }
  return fail(code, std::move(message));
}

}  // namespace postern::tc
