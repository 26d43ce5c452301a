// SPDX-License-Identifier: Apache-2.0
// When the files of the run folder are written: a moment after a change, once for all that came meanwhile, and not at
// all where nothing is different.
#include "agent/view/view_writer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "agent/view/run_folder.h"
#include "backends/native/native_backend.h"
#include "test/unit/agent_node/fakes.h"

namespace postern::agent {
namespace {

class ViewWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern_view_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
    auto made = EventLoop::make();
    ASSERT_TRUE(made);
    loop = std::move(*made);
    host.small.add_veth(5, "veth5");
    host.small.add_route("10.0.0.1", 5);
    source.snapshot = cluster_of({pod_at("a", "10.0.0.1")});
    auto backend = make_native_backend({});
    ASSERT_TRUE(backend);
    enforcer = std::make_unique<NodeEnforcer>(std::move(*backend), EnforcerSettings{});
    NodeAgentOptions options;
    options.node_name = "n1";
    node = std::make_unique<NodeAgent>(*loop, host, source, *enforcer, options);
    ASSERT_TRUE(node->start());
  }
  void TearDown() override {
    writer.reset();
    node.reset();
    std::filesystem::remove_all(folder);
  }
  void write_with(Duration view_after, Duration objects_every) {
    ViewWriterOptions options{folder, "n1", {}, view_after, objects_every};
    options.objects_text = [this](const ClusterSnapshot& cluster) -> Result<std::string> {
      ++texts;
      return std::to_string(cluster.network_policies.size());
    };
    writer = std::make_unique<ViewWriter>(*loop, *node, source, *enforcer, options);
    node->on_status([this] { writer->told(); });
  }
  void change() {
    NetworkPolicy policy;
    policy.key = {"x", "p" + std::to_string(source.snapshot.network_policies.size())};
    policy.isolates_ingress = true;
    source.snapshot.network_policies[policy.key] = policy;
    source.is_synced = true;
    source.listener->cluster_changed();
  }
  void run(Duration duration) {
    loop->after(duration, [this] { loop->stop(); });
    ASSERT_TRUE(loop->run());
  }
  // Tells one writing of a file from the next: each makes a new one.
  ino_t file(const char* name) const {
    struct stat status {};
    return stat((folder + "/" + name).c_str(), &status) == 0 ? status.st_ino : 0;
  }
  NodeView view() const {
    const auto text = read_run_file(folder + "/" + kViewFile, 1 << 20);
    auto read = text ? parse_view(*text) : Result<NodeView>(NodeView{});
    return read ? *read : NodeView{};
  }

  std::string folder;
  std::unique_ptr<EventLoop> loop;
  FakeSource source;
  FakeHost host;
  std::unique_ptr<NodeEnforcer> enforcer;
  std::unique_ptr<NodeAgent> node;
  std::unique_ptr<ViewWriter> writer;
  int texts = 0;
};

TEST_F(ViewWriterTest, nothing_is_written_before_policy_is_in_force) {
  write_with(milliseconds(1), milliseconds(1));
  writer->told();
  run(milliseconds(50));
  EXPECT_EQ(file(kViewFile), 0u);
  EXPECT_EQ(texts, 0);
}

TEST_F(ViewWriterTest, changes_that_come_close_together_are_one_file_with_the_last_of_them) {
  write_with(milliseconds(600), seconds(100));
  change();
  run(milliseconds(100));
  EXPECT_EQ(file(kViewFile), 0u) << "a moment later";
  for (int i = 0; i < 3; ++i) {
    change();
    run(milliseconds(60));
  }
  EXPECT_EQ(file(kViewFile), 0u);
  run(seconds(1));
  EXPECT_EQ(view().policies, 4u);
  EXPECT_EQ(view().tables, stamp_of(enforcer->tables()));
  EXPECT_EQ(texts, 1);
}

TEST_F(ViewWriterTest, a_change_in_the_midst_of_a_stream_does_not_wait_for_its_end) {
  write_with(milliseconds(100), seconds(100));
  for (int i = 0; i < 12; ++i) {
    change();
    run(milliseconds(50));
  }
  EXPECT_GT(view().policies, 0u) << "each change would put off the last for ever";
}

TEST_F(ViewWriterTest, what_is_as_it_was_is_not_written_again) {
  write_with(milliseconds(20), milliseconds(20));
  change();
  run(milliseconds(300));
  const ino_t written = file(kViewFile);
  const ino_t objects = file(kObjectsFile);
  ASSERT_NE(written, 0u);
  ASSERT_NE(objects, 0u);
  const std::string text = *read_run_file(folder + "/" + kViewFile, 1 << 20);
  for (int i = 0; i < 3; ++i) {
    node->network_changed();
    run(milliseconds(100));
  }
  EXPECT_EQ(file(kViewFile), written);
  EXPECT_EQ(file(kObjectsFile), objects);
  EXPECT_EQ(*read_run_file(folder + "/" + kViewFile, 1 << 20), text) << "the time of writing too";
  change();
  run(milliseconds(300));
  EXPECT_EQ(view().policies, 2u);
}

TEST_F(ViewWriterTest, objects_are_written_so_seldom_however_often_they_change) {
  write_with(milliseconds(5), milliseconds(700));
  change();
  run(milliseconds(150));
  EXPECT_EQ(texts, 1);
  for (int i = 0; i < 4; ++i) {
    change();
    run(milliseconds(60));
  }
  EXPECT_EQ(texts, 1);
  run(seconds(1));
  EXPECT_EQ(texts, 2);
  EXPECT_EQ(*read_run_file(folder + "/" + kObjectsFile, 100), "5");
}

TEST_F(ViewWriterTest, a_folder_that_cannot_be_written_stops_nothing) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_symlink("/proc/nowhere", folder);
  write_with(milliseconds(5), milliseconds(5));
  change();
  run(milliseconds(100));
  change();
  run(milliseconds(100));
  EXPECT_TRUE(node->status().ready);
  EXPECT_TRUE(node->status().failure.empty());
  EXPECT_EQ(enforcer->policy().endpoints.size(), 1u);
}

}  // namespace
}  // namespace postern::agent
