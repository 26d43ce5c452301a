// SPDX-License-Identifier: Apache-2.0
#include "test/unit/agent_kube/scripted_server.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace postern::agent::kube {

ScriptedServer::ScriptedServer(const std::vector<std::string>& arguments) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe(to.data()) != 0 || pipe(from.data()) != 0) {
    ADD_FAILURE() << "no pipes";
    return;
  }
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (const int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    // Debian's own: another one on the path may lack what the standard one has.
    std::vector<const char*> words{"/usr/bin/python3", "test/unit/agent_kube/scripted_server.py"};
    for (const auto& argument : arguments) words.push_back(argument.c_str());
    words.push_back(nullptr);
    execv(words[0], const_cast<char* const*>(words.data()));
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
  const std::string line = read_line();
  EXPECT_FALSE(line.empty()) << "the server does not start";
  port_ = std::atoi(line.c_str());
}

ScriptedServer::~ScriptedServer() {
  close(to_);
  close(from_);
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string ScriptedServer::read_line() {
  std::string line;
  for (char c = 0; read(from_, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

std::string ScriptedServer::tell(const std::string& command) {
  const std::string line = command + "\n";
  if (write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return "the server is gone";
  return read_line();
}

namespace {

const char* const kMakeCertificates = R"(
set -e
cd "$1"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
authority() { key "$1"; openssl req -x509 -key "$1.key" -out "$1.crt" -days 2 -subj "/CN=$1"; }
# signed NAME SUBJECT_ALTERNATIVE_NAMES DAYS
signed() {
  key "$1"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%s\n' "$2" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$3" -extfile "$1.ext" -out "$1.crt"
}
authority ca
authority other
signed server IP:127.0.0.1,DNS:localhost 2
signed expired IP:127.0.0.1 -1
signed named DNS:kubernetes.example 2
signed client DNS:node-1 2
openssl pkcs8 -topk8 -in client.key -out encrypted.key -passout pass:secret
cp client.crt encrypted.crt
)";

}  // namespace

Certificates::Certificates() {
  char folder[] = "/tmp/postern-kube-pki-XXXXXX";
  if (mkdtemp(folder) == nullptr) return;
  folder_ = folder;
  const std::string command = std::string("bash -c '") + "exec bash -s \"$0\" 2>\"$0/log\"' " + folder_ +
                              " <<'EOF'" + kMakeCertificates + "EOF\n";
  EXPECT_EQ(std::system(command.c_str()), 0)
      << "openssl does not make certificates, see " << folder_ << "/log";
}

Certificates::~Certificates() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

const Certificates& Certificates::get() {
  static const Certificates kCertificates;
  return kCertificates;
}

}  // namespace postern::agent::kube
