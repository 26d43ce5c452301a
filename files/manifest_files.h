// SPDX-License-Identifier: Apache-2.0
// Files and folders that hold manifests, read with a cap on their size. Only regular files are read: a
// pipe or a device is named and not waited for.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/reader.h"

namespace postern {

// A file itself, or every file below a folder with one of the endings (".yaml"), sorted by path. Errors:
// io, with the path as its place.
Result<std::vector<std::string>> list_files(const std::string& path,
                                            std::initializer_list<std::string_view> endings);

// The manifests that PATH stands for: *.yaml, *.yml and *.json.
Result<std::vector<std::string>> list_manifest_files(const std::string& path);

// The text of a file that has at most `limit` bytes. Errors: io, or invalid_input for a file that is larger.
Result<std::string> load_text_file(const std::string& path, std::size_t limit = 16u << 20);

// Every manifest of a file or folder, sorted by path, as one. All errors of all files.
tl::expected<manifest::Manifest, manifest::Errors> load_manifests(const std::string& path,
                                                                  const manifest::ReadOptions& options = {});

}  // namespace postern
