// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace postern::cli {

void note(const std::string& message) { std::fputs(("postern: " + message + '\n').c_str(), stderr); }

int refuse(const std::string& message) {
  note(message);
  return 2;
}

bool write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  errno = 0;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int reason = errno;
  if (file != nullptr && std::fclose(file) != 0) {
    written = false;
    reason = errno;
  }
  if (!written) refuse("cannot write " + path + ": " + std::strerror(reason));
  return written;
}

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  const auto whole_a = std::filesystem::weakly_canonical(a, error);
  if (error) return a == b;
  const auto whole_b = std::filesystem::weakly_canonical(b, error);
  return error ? a == b : whole_a == whole_b;
}

Result<void> check_output(const std::string& output, std::span<const std::string> inputs) {
  if (output.empty() || output == "-") return {};
  for (const auto& input : inputs) {
    if (!same_file(output, input)) continue;
    return fail(ErrorCode::invalid_input,
                "results would overwrite " + input + ", which is read, expected another file");
  }
  return {};
}

bool takes_escapes(int descriptor) {
  const char* terminal = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  if (no_color != nullptr && *no_color != '\0') return false;
  return isatty(descriptor) == 1;
}

int close_output(int status) {
  const bool failed = std::ferror(stdout) != 0;
  if (std::fflush(stdout) == 0 && !failed) return status;
  return refuse("cannot write to standard output");
}

}  // namespace postern::cli
