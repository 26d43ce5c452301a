// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/socket_place.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace postern::agent {
namespace {

// 0 when somebody listens, else why not.
int connect_error(const std::string& path) {
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (client < 0) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int status = connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address);
  // EAGAIN: a listener whose queue is full.
  const int error = status == 0 || errno == EAGAIN ? 0 : errno;
  close(client);
  return error;
}

}  // namespace

Result<void> check_socket_place(const std::string& path, const std::string& flag) {
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::io, flag + ": cannot serve " + path + ": " + why);
  };
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return refuse("the path is too long for a socket");
  struct stat found {};
  const std::string folder = std::filesystem::path(path).parent_path();
  if (stat(folder.c_str(), &found) != 0) {
    return refuse("its folder " + folder + ": " + std::strerror(errno) +
                  "; expected it to be there, as the CNI plug-in shares it with the host");
  }
  if (!S_ISDIR(found.st_mode)) return refuse("found a file at " + folder + ", expected a folder");
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return refuse(std::strerror(errno));
  }
  if (!S_ISSOCK(found.st_mode)) return refuse("found something else there, expected a socket or nothing");
  switch (const int error = connect_error(path)) {
    case 0:
      return refuse("another process serves it; expected it to end first");
    case ECONNREFUSED:
    case ENOENT:
      return {};
    default:
      return refuse(std::string("found a socket that cannot be tried: ") + std::strerror(error));
  }
}

}  // namespace postern::agent
