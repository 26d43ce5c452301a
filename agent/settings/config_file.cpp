// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/config_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/manifest/value.h"

namespace postern::agent {
namespace {

constexpr std::size_t kMostBytes = 1u << 20;  // no settings take more

Result<std::string> read_text(const std::string& path) {
  const auto failed = [&] { return fail(ErrorCode::io, "reading " + path + ": " + std::strerror(errno)); };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return failed();
  std::string text;
  std::array<char, 65536> piece{};
  ssize_t count = 0;
  while ((count = read(file, piece.data(), piece.size())) > 0 && text.size() <= kMostBytes) {
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  if (count < 0) {
    const auto error = failed();
    close(file);
    return error;
  }
  close(file);
  if (text.size() > kMostBytes) {
    return fail(ErrorCode::invalid_input, "the file has more than " + std::to_string(kMostBytes) + " bytes",
                {path, 0, 0});
  }
  return text;
}

Location place(const std::string& path, const manifest::Value& value) {
  return {path, value.line, value.column};
}

void add_entry(const std::string& path, const manifest::Value& key, const manifest::Value& value,
               ConfigFile& file) {
  if (!value.is_scalar() || value.is_null()) {
    file.errors.push_back(
        {ErrorCode::invalid_input,
         key.text + ": found " + manifest::describe(value) + ", expected one value (\"\" for an empty one)",
         place(path, value.is_null() ? key : value)});
    return;
  }
  file.entries.push_back({key.text, place(path, key), value.text, place(path, value)});
}

}  // namespace

Result<ConfigFile> read_config_file(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return fail_as(text);
  ConfigFile file;
  std::size_t documents = 0;
  Result<void> shape{};
  const auto take = [&](const manifest::Value& document) {
    ++documents;
    if (!shape) return;
    if (documents > 1) {
      shape = fail(ErrorCode::invalid_input, "found a second document, expected one mapping of settings",
                   place(path, document));
      return;
    }
    if (document.kind != manifest::Kind::mapping) {
      shape = fail(ErrorCode::invalid_input,
                   "found " + manifest::describe(document) + ", expected a mapping of settings to values",
                   place(path, document));
      return;
    }
    for (std::size_t i = 0; i < document.size(); ++i) {
      add_entry(path, document.key(i), document.member(i), file);
    }
  };
  if (const auto parsed = manifest::parse_documents(*text, path, take); !parsed) return fail_as(parsed);
  if (!shape) return fail_as(shape);
  return file;
}

}  // namespace postern::agent
