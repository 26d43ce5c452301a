// SPDX-License-Identifier: Apache-2.0
// scripted_server.py as a child process, and a folder with certificates that openssl made.
#pragma once

#include <string>
#include <vector>

namespace postern::agent::kube {

class ScriptedServer {
 public:
  // Arguments as the script takes them. The test fails if it does not start.
  explicit ScriptedServer(const std::vector<std::string>& arguments = {});
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  // One command, its answer.
  std::string tell(const std::string& command);

 private:
  std::string read_line();
  int pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  int port_ = 0;
};

// Made once a process, below /tmp, and removed at its end. Names: ca other server (127.0.0.1, localhost)
// expired named (kubernetes.example alone) client encrypted; each with .crt and .key.
class Certificates {
 public:
  static const Certificates& get();
  ~Certificates();
  [[nodiscard]] std::string path(const std::string& file) const { return folder_ + "/" + file; }

 private:
  Certificates();
  std::string folder_;
};

}  // namespace postern::agent::kube
