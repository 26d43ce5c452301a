// SPDX-License-Identifier: Apache-2.0
#include "agent/log/full_files.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace postern::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCompressed = ".gz";
constexpr std::string_view kUnfinished = ".gz.part";
// Digits are '0' here, everything else stands for itself.
constexpr std::string_view kMoment = "0000-00-00T00-00-00.000";

bool is_moment(std::string_view text) {
  return std::equal(text.begin(), text.end(), kMoment.begin(), kMoment.end(), [](char given, char wanted) {
    return wanted == '0' ? given >= '0' && given <= '9' : given == wanted;
  });
}

// Names of full files and of unfinished ones, without their folder.
bool is_full_file(std::string_view name, const fs::path& file) {
  const std::string stem = file.stem().string() + '-';
  if (!name.starts_with(stem)) return false;
  name.remove_prefix(stem.size());
  if (!is_moment(name.substr(0, kMoment.size()))) return false;
  name.remove_prefix(kMoment.size());
  const std::string extension = file.extension().string();
  if (!name.starts_with(extension)) return false;
  name.remove_prefix(extension.size());
  return name.empty() || name == kCompressed || name == kUnfinished;
}

std::vector<std::string> all_beside(const std::string& file) {
  std::vector<std::string> found;
  std::error_code error;
  const fs::path folder = fs::path(file).parent_path();
  for (fs::directory_iterator it(folder.empty() ? "." : folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (is_full_file(name, file)) found.push_back((folder / name).string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> refuse(const std::string& what, const std::string& file, const std::string& why) {
  return fail(ErrorCode::io, what + ": " + why, {file, 0, 0});
}

Result<void> remove(const std::string& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) return refuse("removing the log file", file, error.message());
  return {};
}

// False: stopped before the end.
Result<bool> write_compressed(const std::string& from, const std::string& to, const std::atomic<bool>& stop) {
  std::ifstream in(from, std::ios::binary);
  gzFile out = gzopen(to.c_str(), "wb");
  if (!in || out == nullptr) {
    if (out != nullptr) gzclose(out);
    return tl::unexpected(refuse("compressing the log file", from, std::strerror(errno)).error());
  }
  std::array<char, 1 << 16> piece{};
  bool written = true;
  while (in && written && !stop) {
    in.read(piece.data(), piece.size());
    const auto size = static_cast<unsigned>(in.gcount());
    written = size == 0 || gzwrite(out, piece.data(), size) == static_cast<int>(size);
  }
  written = gzclose(out) == Z_OK && written && !in.bad();
  if (!written) return tl::unexpected(refuse("compressing the log file", from, "writing " + to + " failed").error());
  return !stop;
}

Result<void> compress(const std::string& file, const std::atomic<bool>& stop) {
  const std::string part = file + std::string(kUnfinished);
  const auto whole = write_compressed(file, part, stop);
  if (!whole || !*whole) {
    std::error_code ignored;
    fs::remove(part, ignored);
    if (!whole) return fail_as(whole);
    return {};
  }
  std::error_code error;
  fs::rename(part, file + std::string(kCompressed), error);
  if (error) return refuse("compressing the log file", file, error.message());
  return remove(file);
}

}  // namespace

std::string full_file_name(const std::string& file, std::int64_t time_ms) {
  const auto second = static_cast<std::time_t>(time_ms / 1000);
  std::tm utc{};
  gmtime_r(&second, &utc);
  const fs::path path(file);
  const std::string name =
      fmt::format("{}-{:04}-{:02}-{:02}T{:02}-{:02}-{:02}.{:03}{}", path.stem().string(), utc.tm_year + 1900,
                  utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, time_ms % 1000,
                  path.extension().string());
  return (path.parent_path() / name).string();
}

std::vector<std::string> full_files(const std::string& file) {
  auto found = all_beside(file);
  std::erase_if(found, [](const std::string& name) { return name.ends_with(kUnfinished); });
  return found;
}

Result<std::string> set_aside(const std::string& file, std::int64_t time_ms) {
  std::string to = full_file_name(file, time_ms);
  while (fs::exists(to) || fs::exists(to + std::string(kCompressed))) to = full_file_name(file, ++time_ms);
  std::error_code error;
  fs::rename(file, to, error);
  if (error) return fail(ErrorCode::io, "setting the full log file aside: " + error.message(), {file, 0, 0});
  return to;
}

Result<void> tidy_full_files(const FullFileRules& rules, std::int64_t now_ms, const std::atomic<bool>& stop) {
  Result<void> outcome;
  const auto note = [&](const Result<void>& done) {
    if (outcome && !done) outcome = done;
  };
  for (const auto& file : all_beside(rules.file)) {
    if (file.ends_with(kUnfinished)) note(remove(file));
  }
  auto files = full_files(rules.file);
  // Names sort by age, so the first of those that are young enough is found by the name it would have.
  const std::string oldest = full_file_name(rules.file, now_ms - rules.most_age_ms);
  auto first_kept = std::lower_bound(files.begin(), files.end(), oldest);
  const auto too_many = files.size() > rules.most ? files.size() - rules.most : 0;
  first_kept = std::max(first_kept, files.begin() + static_cast<std::ptrdiff_t>(too_many));
  for (auto file = files.begin(); file != first_kept; ++file) note(remove(*file));
  for (auto file = first_kept; file != files.end() && !stop; ++file) {
    if (!file->ends_with(kCompressed)) note(compress(*file, stop));
  }
  return outcome;
}

}  // namespace postern::agent
