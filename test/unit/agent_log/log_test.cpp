// SPDX-License-Identifier: Apache-2.0
// Where lines go, which are left out, what the files look like when they are full, and what is refused.
#include "agent/log/log.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "agent/log/full_files.h"

namespace postern::agent {
namespace {

namespace fs = std::filesystem;

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern_log_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
  }
  void TearDown() override {
    ASSERT_TRUE(set_up_log({}));  // lets go of the files
    fs::remove_all(folder);
  }
  static std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  // "level msg" of every line.
  static std::vector<std::string> said(const fs::path& path) {
    std::vector<std::string> all;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      const auto parsed = nlohmann::json::parse(line, nullptr, false);
      if (!parsed.is_object()) return {"no JSON: " + line};
      all.push_back(parsed["level"].get<std::string>() + " " + parsed["msg"].get<std::string>());
    }
    return all;
  }
  fs::path folder;
};

TEST_F(LogTest, lines_below_the_level_are_left_out_and_the_level_changes_at_once) {
  const fs::path file = folder / "agent.log";
  ASSERT_TRUE(set_up_log({.level = LogLevel::warn, .file = file}));
  const auto say_all = [] {
    log_debug("a {}", 1);
    log_info("b {}", "two");
    log_warn("c");
    log_error("d {:03}", 4);
  };
  say_all();
  EXPECT_EQ(said(file), (std::vector<std::string>{"warn c", "error d 004"}));
  set_log_level(LogLevel::debug);
  EXPECT_EQ(log_level(), LogLevel::debug);
  say_all();
  EXPECT_EQ(said(file), (std::vector<std::string>{"warn c", "error d 004", "debug a 1", "info b two",
                                                  "warn c", "error d 004"}));
  set_log_level(LogLevel::fatal);
  say_all();
  EXPECT_EQ(said(file).size(), 6u);
}

TEST_F(LogTest, a_line_names_the_place_that_said_it) {
  const fs::path file = folder / "agent.log";
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = file}));
  const int line = __LINE__ + 1;
  log_info("here");
  EXPECT_NE(text_of(file).find("\"caller\":\"agent_log/log_test.cpp:" + std::to_string(line) + "\""),
            std::string::npos)
      << text_of(file);
}

TEST_F(LogTest, a_message_is_evaluated_only_where_it_is_wanted) {
  ASSERT_TRUE(set_up_log({.level = LogLevel::warn, .file = folder / "agent.log"}));
  EXPECT_FALSE(is_logged(LogLevel::info));
  EXPECT_TRUE(is_logged(LogLevel::warn));
  EXPECT_TRUE(is_logged(LogLevel::fatal));
}

TEST_F(LogTest, a_file_is_made_with_its_folder_and_appended_to) {
  const fs::path file = folder / "deep" / "er" / "agent.log";
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = file}));
  log_info("first");
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = file}));
  log_info("second");
  EXPECT_EQ(said(file), (std::vector<std::string>{"info first", "info second"}));
}

TEST_F(LogTest, a_full_file_is_set_aside_and_compressed_and_only_so_many_are_kept) {
  const fs::path file = folder / "agent.log";
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = file, .max_size_mb = 1, .max_backups = 2}));
  // Five times what one file may hold.
  const std::string long_text(10'000, 'x');
  for (int i = 0; i < 500; ++i) log_info("{} {}", i, long_text);
  EXPECT_LE(fs::file_size(file), 1'000'000u);
  // No line is torn, and the newest is in the file itself.
  EXPECT_TRUE(said(file).back().starts_with("info 499 "));
  const auto compressed = [&] {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(folder)) count += entry.path().extension() == ".gz" ? 1u : 0u;
    return count;
  };
  const auto files = [&] { return std::distance(fs::directory_iterator(folder), fs::directory_iterator()); };
  for (int i = 0; i < 1000 && (compressed() != 2 || files() != 3); ++i) usleep(10'000);
  EXPECT_EQ(compressed(), 2u);
  EXPECT_EQ(files(), 3);
  const auto full = full_files(file);
  ASSERT_EQ(full.size(), 2u);
  // 99 lines to a file: the newest full one ends where the log begins.
  std::string last;
  gzFile opened = gzopen(full.back().c_str(), "rb");
  std::array<char, 20'000> line{};
  while (gzgets(opened, line.data(), static_cast<int>(line.size())) != nullptr) last = line.data();
  EXPECT_EQ(gzclose(opened), Z_OK);
  const auto number = [](const std::string& text) { return std::stoi(text.substr(text.find(' ') + 1)); };
  EXPECT_EQ("info " + nlohmann::json::parse(last)["msg"].get<std::string>(),
            "info " + std::to_string(number(said(file).front()) - 1) + " " + long_text);
}

TEST_F(LogTest, standard_output_and_standard_error_are_files_too) {
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = "stdout"}));
  ::testing::internal::CaptureStdout();
  log_info("to standard output");
  EXPECT_NE(::testing::internal::GetCapturedStdout().find("\"msg\":\"to standard output\"}\n"),
            std::string::npos);
  ASSERT_TRUE(set_up_log({.level = LogLevel::info, .file = ""}));
  ::testing::internal::CaptureStderr();
  log_info("to standard error");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("\"msg\":\"to standard error\"}\n"),
            std::string::npos);
  EXPECT_FALSE(fs::exists("stdout"));
}

TEST_F(LogTest, a_file_that_cannot_be_written_is_refused_with_the_reason) {
  std::ofstream(folder / "plain") << "x";
  fs::create_directory(folder / "sub");
  const struct {
    const char* name;
    fs::path file;
    std::string reason;
  } rows[] = {
      {"a folder", folder / "sub", "Is a directory"},
      {"below a file", folder / "plain" / "agent.log", "its folder: Not a directory"},
      {"where nothing can be made", "/proc/nowhere/agent.log", "its folder: No such file or directory"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto result = set_up_log({.level = LogLevel::info, .file = row.file});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().to_string(),
              "--log-file: cannot write " + row.file.string() + ": " + row.reason +
                  "; expected a file that can be written, stdout, or nothing for standard error");
  }
}

TEST(LogLevels, are_read_in_any_case_and_nothing_else_is) {
  for (const LogLevel level :
       {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::fatal}) {
    EXPECT_EQ(parse_log_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_log_level("Info"), LogLevel::info);
  EXPECT_EQ(parse_log_level("DEBUG"), LogLevel::debug);
  for (const char* other : {"", "trace", "warning", "inf", "infos", " info"}) {
    EXPECT_FALSE(parse_log_level(other)) << other;
  }
}

}  // namespace
}  // namespace postern::agent
