// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "files/manifest_files.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::sim {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "postern-files-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(folder_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  std::string folder_;
};

TEST_F(Files, scenario_files_of_a_folder_are_every_yaml_below_it_sorted) {
  const auto b = write("b.yaml", "");
  const auto a = write("z/a.yaml", "");
  const auto deep = write("a/x/y.yaml", "");
  write("c.yml", "");
  write("d.json", "");
  write("e.yaml.orig", "");
  const auto files = list_scenario_files(folder_);
  ASSERT_TRUE(files.has_value());
  EXPECT_EQ(*files, (std::vector<std::string>{deep, b, a}));
}

TEST_F(Files, links_to_folders_are_not_followed) {
  const auto a = write("in/a.yaml", "");
  fs::create_directory_symlink("..", folder_ + "/in/up");
  fs::create_directory_symlink(".", folder_ + "/in/self.yaml");
  EXPECT_EQ(list_scenario_files(folder_).value(), std::vector<std::string>{a});
}

TEST_F(Files, a_folder_that_cannot_be_listed_is_named) {
  // A path longer than any may be: nobody can list it, root neither.
  std::string inner = folder_;
  const std::string name(200, 'd');
  const int start = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY);
  int at = start;
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(mkdirat(at, name.c_str(), 0755), 0);
    const int next = openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_GE(next, 0);
    if (at != start) close(at);
    at = next;
    if (inner.size() + name.size() + 1 < 4096) inner += '/' + name;
  }
  close(at);
  close(start);
  const auto files = list_scenario_files(folder_);
  ASSERT_FALSE(files.has_value());
  EXPECT_EQ(files.error().location.file.rfind(inner, 0), 0u) << files.error().to_string();
  EXPECT_EQ(files.error().code, ErrorCode::io);
}

TEST_F(Files, a_file_stands_for_itself_whatever_its_name) {
  const auto path = write("scenario.txt", "");
  EXPECT_EQ(list_scenario_files(path).value(), std::vector<std::string>{path});
}

TEST_F(Files, a_path_that_is_not_there_is_an_error) {
  const auto files = list_scenario_files(folder_ + "/none");
  ASSERT_FALSE(files.has_value());
  EXPECT_EQ(files.error().code, ErrorCode::io);
  EXPECT_EQ(files.error().to_string(), folder_ + "/none: found no such file or folder");
  const auto read = read_scenario_file(folder_ + "/none.yaml");
  ASSERT_EQ(read.errors.size(), 1u);
  EXPECT_EQ(read.errors[0].code, ErrorCode::io);
}

TEST_F(Files, a_text_up_to_the_limit_is_loaded) {
  EXPECT_EQ(load_text_file(write("a", "12345"), 5).value(), "12345");
  const auto path = write("b", "123456");
  const auto text = load_text_file(path, 5);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().to_string(), path + ": the file has more than 5 bytes, expected at most that many");
}

TEST_F(Files, a_sparse_file_of_a_gigabyte_is_not_read_whole) {
  const auto path = write("sparse.yaml", "");
  fs::resize_file(path, std::uintmax_t{1} << 30);
  const auto read = read_scenario_file(path);
  ASSERT_EQ(read.errors.size(), 1u);
  EXPECT_NE(read.errors[0].message.find("more than 16777216 bytes"), std::string::npos);
}

TEST_F(Files, a_folder_is_no_text) {
  const auto text = load_text_file(folder_);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().to_string(), folder_ + ": found a folder, expected a file");
}

TEST_F(Files, what_is_no_regular_file_is_no_text) {
  const std::string pipe = folder_ + "/pipe.yaml";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(load_text_file(pipe).error().to_string(), pipe + ": found a pipe, expected a file");
  EXPECT_EQ(load_text_file("/dev/zero").error().to_string(), "/dev/zero: found a device, expected a file");
  const std::string loop = folder_ + "/loop.yaml";
  fs::create_symlink("loop.yaml", loop);
  EXPECT_EQ(load_text_file(loop).error().to_string(),
            loop + ": cannot open the file: Too many levels of symbolic links");
}

TEST_F(Files, a_folder_that_links_to_itself_is_listed_once) {
  const auto path = write("a.yaml", "");
  fs::create_directory_symlink(".", folder_ + "/self");
  fs::create_directory_symlink("..", folder_ + "/up.yaml");
  EXPECT_EQ(list_scenario_files(folder_).value(), std::vector<std::string>{path});
}

TEST_F(Files, manifests_of_a_folder_are_read_as_one_with_all_their_errors) {
  write("a.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Secret}\n");
  write("sub/b.yml", "{apiVersion: v1, kind: Pod, metadata: {name: b}}\n");
  write("c.json", R"({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}})");
  write("README.md", "not: [yaml");
  const auto manifest = load_manifests(folder_);
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(manifest->objects.size(), 3u);
  EXPECT_EQ(manifest->skipped_kinds.at("Secret"), 1u);
  write("d.yaml", "{apiVersion: v1, kind: Pod, metadata: {}}\n");
  write("e.yaml", "{");
  const auto broken = load_manifests(folder_);
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().size(), 2u);
}

}  // namespace
}  // namespace postern::sim
