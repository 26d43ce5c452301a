// SPDX-License-Identifier: Apache-2.0
// The files behind scenarios and manifests: which there are, and their texts with a cap on size.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "sim/scenario/scenario_reader.h"

namespace postern::sim {

namespace fs = std::filesystem;

namespace {

std::string reason(const std::error_code& error) { return error.message(); }

bool has_ending(const fs::path& path, std::initializer_list<std::string_view> endings) {
  const std::string ending = path.extension().string();
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

// Files below a folder with one of the endings, sorted by path.
Result<std::vector<std::string>> files_below(const std::string& folder,
                                             std::initializer_list<std::string_view> endings) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // a dangling link is found when it is read
    if (entry->is_directory(ignored)) continue;
    if (has_ending(entry->path(), endings)) files.push_back(entry->path().string());
  }
  if (error) return fail(ErrorCode::io, "cannot list the folder: " + reason(error), {folder, 0, 0});
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::vector<std::string>> files_of(const std::string& path,
                                          std::initializer_list<std::string_view> endings) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) {
    return fail(ErrorCode::io,
                "found no such file or folder" +
                    (error && error.value() != ENOENT ? " (" + reason(error) + ")" : std::string()),
                {path, 0, 0});
  }
  if (fs::is_directory(status)) return files_below(path, endings);
  return std::vector<std::string>{path};
}

}  // namespace

Result<std::string> load_text_file(const std::string& path, std::size_t limit) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return fail(ErrorCode::io, "found a folder, expected a file", {path, 0, 0});
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorCode::io, "cannot open the file: " + std::string(std::strerror(errno)), {path, 0, 0});
  }
  // Read in pieces and stop one byte after the limit: a size that is asked for first can lie.
  std::string text;
  std::string piece(std::size_t{64} << 10, '\0');
  while (file && text.size() <= limit) {
    file.read(piece.data(), static_cast<std::streamsize>(std::min(piece.size(), limit + 1 - text.size())));
    text.append(piece, 0, static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return fail(ErrorCode::io, "cannot read the file", {path, 0, 0});
  if (text.size() > limit) {
    return fail(ErrorCode::invalid_input,
                "the file has more than " + std::to_string(limit) + " bytes, expected at most that many",
                {path, 0, 0});
  }
  return text;
}

ScenarioFile read_scenario_file(const std::string& path, const ScenarioReadOptions& options) {
  const auto text = load_text_file(path);
  if (text) return read_scenario(*text, path, options);
  ScenarioFile result;
  result.file = path;
  result.errors.push_back(text.error());
  return result;
}

Result<std::vector<std::string>> list_scenario_files(const std::string& path) {
  return files_of(path, {".yaml"});
}

tl::expected<manifest::Manifest, manifest::Errors> load_manifests(const std::string& path,
                                                                  const manifest::ReadOptions& options) {
  const auto files = files_of(path, {".yaml", ".yml", ".json"});
  if (!files) return tl::unexpected<manifest::Errors>({files.error()});
  manifest::Manifest all;
  manifest::Errors errors;
  for (const auto& file : *files) {
    const auto text = load_text_file(file);
    if (!text) {
      errors.push_back(text.error());
      continue;
    }
    auto read = manifest::read_manifest(*text, file, options);
    if (!read) {
      for (auto& error : read.error()) errors.push_back(std::move(error));
      continue;
    }
    for (auto& object : read->objects) all.objects.push_back(std::move(object));
    for (auto& policy : read->unsupported) all.unsupported.push_back(std::move(policy));
    for (const auto& entry : read->skipped_kinds) all.skipped_kinds[entry.first] += entry.second;
  }
  if (!errors.empty()) return tl::unexpected<manifest::Errors>(std::move(errors));
  return all;
}

}  // namespace postern::sim
