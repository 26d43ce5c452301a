// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/socket_place.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "test/unit/agent_rpc/scratch_folder.h"

namespace postern::agent {
namespace {

// A socket that is bound there; it listens if `backlog` is not negative.
int bound_socket(const std::string& path, int backlog) {
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  if (backlog >= 0) {
    EXPECT_EQ(listen(descriptor, backlog), 0);
  }
  return descriptor;
}

std::string checked(const std::string& path) {
  const auto result = check_socket_place(path, "--flag");
  return result ? "free" : result.error().to_string();
}

TEST(SocketPlace, is_free_where_nothing_is_or_nobody_listens) {
  const ScratchFolder folder;
  EXPECT_EQ(checked(folder / "none"), "free");
  close(bound_socket(folder / "stale", 1));
  EXPECT_EQ(checked(folder / "stale"), "free");
  const int deaf = bound_socket(folder / "deaf", -1);
  EXPECT_EQ(checked(folder / "deaf"), "free");
  close(deaf);
  EXPECT_TRUE(std::filesystem::exists(folder / "stale"));
}

TEST(SocketPlace, of_a_listener_is_taken_also_when_its_queue_is_full) {
  const ScratchFolder folder;
  const std::string path = folder / "live";
  const int server = bound_socket(path, 0);
  // Nobody accepts, so each try fills the queue further.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(checked(path),
              "--flag: cannot serve " + path + ": another process serves it; expected it to end first");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN,
            true);
  EXPECT_EQ(checked(path),
            "--flag: cannot serve " + path + ": another process serves it; expected it to end first");
  close(client);
  close(server);
}

TEST(SocketPlace, is_refused_where_no_socket_can_be) {
  const ScratchFolder folder;
  std::ofstream(folder / "file") << "x";
  std::filesystem::create_directory(folder / "sub");
  const std::string file = folder / "file";
  const struct {
    const char* name;
    std::string path;
    std::string why;
  } rows[] = {
      {"no folder", folder / "none/a.sock",
       "its folder " + folder.path() +
           "/none: No such file or directory; expected it to be there, as the CNI plug-in shares it with the "
           "host"},
      {"a file instead of the folder", file + "/a.sock", "found a file at " + file + ", expected a folder"},
      {"a file", file, "found something else there, expected a socket or nothing"},
      {"a folder", folder / "sub", "found something else there, expected a socket or nothing"},
      {"too long", folder / std::string(107, 'a'), "the path is too long for a socket"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(checked(row.path), "--flag: cannot serve " + row.path + ": " + row.why);
  }
}

}  // namespace
}  // namespace postern::agent
