// SPDX-License-Identifier: Apache-2.0
#include "agent/view/run_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

namespace postern::agent {
namespace {

class RunFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-run-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
};

TEST_F(RunFolder, AFileIsReplacedAndIsItsOwnersAlone) {
  const std::string folder = root_ + "/run";
  ASSERT_TRUE(replace_file(folder, "view.json", "one"));
  ASSERT_TRUE(replace_file(folder, "view.json", "two"));
  EXPECT_EQ(read_run_file(folder + "/view.json", 10).value_or("?"), "two");
  struct stat status {};
  ASSERT_EQ(stat(folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  ASSERT_EQ(stat((folder + "/view.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const std::filesystem::directory_iterator files(folder);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "nothing is left aside";
}

TEST_F(RunFolder, WhatIsRemovedIsSaidAndOtherFilesStay) {
  const std::string folder = root_ + "/run";
  constexpr std::array<const char*, 2> kFiles{"view.json", "objects.json"};
  EXPECT_TRUE(remove_files(folder, kFiles).value().empty());
  ASSERT_TRUE(replace_file(folder, "view.json", "one"));
  ASSERT_TRUE(replace_file(folder, "other", "one"));
  EXPECT_EQ(remove_files(folder, kFiles).value(), std::vector<std::string>{folder + "/view.json"});
  EXPECT_TRUE(std::filesystem::exists(folder + "/other"));
  std::filesystem::remove(folder + "/other");
  ASSERT_TRUE(replace_file(folder, "objects.json", "one"));
  EXPECT_EQ(remove_files(folder, kFiles).value(), std::vector<std::string>{folder + "/objects.json"});
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(RunFolder, WhatCannotBeWrittenOrReadSaysWhere) {
  const auto nowhere = replace_file(root_ + "/no/folder", "view.json", "one");
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find(root_ + "/no/folder"), std::string::npos);
  const auto missing = read_run_file(root_ + "/view.json", 10);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  ASSERT_TRUE(replace_file(root_, "view.json", "12345678901"));
  const auto large = read_run_file(root_ + "/view.json", 10);
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().message.find("more than 10 bytes"), std::string::npos);
}

}  // namespace
}  // namespace postern::agent
