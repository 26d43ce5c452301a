// SPDX-License-Identifier: Apache-2.0
// What becomes of full log files: their names, which are compressed, which go, and which are nobody's.
#include "agent/log/full_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace postern::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr std::int64_t kNow = 1'767'323'045'678;  // 2026-01-02T03:04:05.678Z
constexpr std::int64_t kDay = 86'400'000;

class FullFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern_full_files_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
    rules = {folder / "agent.log", 3, 30 * kDay};
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string& name, const std::string& text = "x") const { std::ofstream(folder / name) << text; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder)) all.push_back(entry.path().filename());
    std::sort(all.begin(), all.end());
    return all;
  }

  fs::path folder;
  FullFileRules rules;
  std::atomic<bool> stop = false;
};

TEST_F(FullFilesTest, names_say_the_moment_in_utc) {
  EXPECT_EQ(full_file_name("/var/log/agent.log", kNow), "/var/log/agent-2026-01-02T03-04-05.678.log");
  EXPECT_EQ(full_file_name("agent", kNow), "agent-2026-01-02T03-04-05.678");
  EXPECT_EQ(full_file_name("a.b.log", 7), "a.b-1970-01-01T00-00-00.007.log");
}

TEST_F(FullFilesTest, a_file_is_never_set_aside_onto_another) {
  write("agent.log", "new");
  write("agent-2026-01-02T03-04-05.678.log");
  write("agent-2026-01-02T03-04-05.679.log.gz");
  const auto to = set_aside(rules.file, kNow);
  ASSERT_TRUE(to) << to.error().to_string();
  EXPECT_EQ(*to, folder / "agent-2026-01-02T03-04-05.680.log");
  EXPECT_FALSE(fs::exists(rules.file));
  EXPECT_FALSE(set_aside(rules.file, kNow)) << "there is none";
}

TEST_F(FullFilesTest, they_are_compressed_and_hold_what_they_held) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += "line " + std::to_string(i) + '\n';
  write("agent-2026-01-01T00-00-00.000.log", text);
  ASSERT_TRUE(tidy_full_files(rules, kNow, stop));
  EXPECT_THAT(names(), ElementsAre("agent-2026-01-01T00-00-00.000.log.gz"));
  const fs::path file = folder / "agent-2026-01-01T00-00-00.000.log.gz";
  EXPECT_LT(fs::file_size(file), text.size() / 3);
  gzFile in = gzopen(file.c_str(), "rb");
  std::string read(text.size() + 1, ' ');
  const int size = gzread(in, read.data(), static_cast<unsigned>(read.size()));
  EXPECT_EQ(gzclose(in), Z_OK);
  ASSERT_EQ(size, static_cast<int>(text.size()));
  read.resize(text.size());
  EXPECT_TRUE(read == text);
}

TEST_F(FullFilesTest, the_oldest_go_when_there_are_too_many_and_all_that_are_too_old) {
  const struct {
    const char* name;
    std::size_t most;
    std::int64_t most_age_ms;
    std::vector<std::string> kept;
  } rows[] = {
      {"all may stay", 5, 60 * kDay, {"a-2025-12-01T00-00-00.000.log.gz", "a-2025-12-03T03-04-05.678.log.gz",
                                      "a-2026-01-01T00-00-00.000.log.gz"}},
      {"one is too many", 2, 60 * kDay, {"a-2025-12-03T03-04-05.678.log.gz", "a-2026-01-01T00-00-00.000.log.gz"}},
      {"30 days are not too old, more are", 5, 30 * kDay,
       {"a-2025-12-03T03-04-05.678.log.gz", "a-2026-01-01T00-00-00.000.log.gz"}},
      {"too old and too many", 1, 30 * kDay, {"a-2026-01-01T00-00-00.000.log.gz"}},
      {"all are too old", 5, kDay, {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    write("a-2025-12-01T00-00-00.000.log");
    write("a-2025-12-03T03-04-05.678.log");
    write("a-2026-01-01T00-00-00.000.log");
    ASSERT_TRUE(tidy_full_files({folder / "a.log", row.most, row.most_age_ms}, kNow, stop));
    EXPECT_EQ(names(), row.kept);
    for (const auto& name : names()) fs::remove(folder / name);
  }
}

TEST_F(FullFilesTest, files_of_other_names_are_left_alone) {
  const std::vector<std::string> others{"agent-2020-01-01.log", "agent-2020-01-01T00-00-00.000.log.old",
                                        "agent-2020-01-01T00-00-00.000.txt", "agent-x020-01-01T00-00-00.000.log",
                                        "agent.log", "other-2020-01-01T00-00-00.000.log"};
  for (const auto& name : others) write(name);
  ASSERT_TRUE(tidy_full_files(rules, kNow, stop));
  EXPECT_EQ(names(), others);
}

TEST_F(FullFilesTest, what_was_begun_and_not_finished_is_done_again) {
  write("agent-2026-01-01T00-00-00.000.log", "whole");
  write("agent-2026-01-01T00-00-00.000.log.gz.part", "a piece");
  stop = true;
  ASSERT_TRUE(tidy_full_files(rules, kNow, stop));
  EXPECT_THAT(names(), ElementsAre("agent-2026-01-01T00-00-00.000.log")) << "stopped before the first";
  stop = false;
  ASSERT_TRUE(tidy_full_files(rules, kNow, stop));
  EXPECT_THAT(names(), ElementsAre("agent-2026-01-01T00-00-00.000.log.gz"));
}

}  // namespace
}  // namespace postern::agent
