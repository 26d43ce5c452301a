// SPDX-License-Identifier: Apache-2.0
// The client against a server of its own: streams, refusals, and every way in which TLS can fail.
#include "agent/kube/http_client.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kube/cluster_config.h"
#include "test/unit/agent_kube/scripted_server.h"

namespace postern::agent::kube {
namespace {

// Writes down what it is told; runs `then` after each call.
class Recorder : public HttpReceiver {
 public:
  void head(const HttpHead& head) override {
    status = head.status;
    retry_after = head.retry_after;
    heads += 1;
    then();
  }
  void bytes(std::string_view part) override {
    body.append(part);
    then();
  }
  void finished() override {
    end = "finished";
    then();
  }
  void failed(const HttpFailure& found) override {
    failure = found;
    end = "failed: " + found.message;
    then();
  }

  int status = 0;
  int heads = 0;
  std::optional<Duration> retry_after;
  std::string body;
  std::string end;
  HttpFailure failure;
  std::function<void()> then = [] {};
};

class HttpClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop = std::move(*EventLoop::make());
    client = std::move(*HttpClient::make(*loop));
    loop->after(seconds(20), [this] {
      ADD_FAILURE() << "nothing ended the loop";
      loop->stop();
    });
  }
  void run() { ASSERT_TRUE(loop->run()); }

  static std::string read(const std::string& file) {
    const auto text = read_file(Certificates::get().path(file));
    return text ? *text : text.error().message;
  }
  static HttpRequest request(const std::string& url, const std::string& authority = "") {
    HttpRequest made;
    made.url = url;
    TlsMaterial tls;
    if (!authority.empty()) tls.authority = read(authority + ".crt");
    made.tls = std::make_shared<const TlsMaterial>(tls);
    return made;
  }
  // The end of one transfer.
  const Recorder& fetch(const HttpRequest& made) {
    recorder = {};
    recorder.then = [this] {
      if (!recorder.end.empty()) loop->stop();
    };
    client->start(made, recorder);
    run();
    return recorder;
  }
  static std::string url(const ScriptedServer& server, const std::string& path,
                         const std::string& scheme = "http", const std::string& host = "127.0.0.1") {
    return scheme + "://" + host + ":" + std::to_string(server.port()) + path;
  }

  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<HttpClient> client;
  Recorder recorder;
};

TEST_F(HttpClientTest, GivesTheStatusTheBytesAndTheEnd) {
  ScriptedServer server;
  server.tell("header Retry-After 7");
  server.tell("answer 1 429 slow down");
  const auto& got = fetch(request(url(server, "/a?b=c")));
  EXPECT_EQ(got.status, 429);
  EXPECT_EQ(got.heads, 1);
  ASSERT_TRUE(got.retry_after);
  EXPECT_EQ(*got.retry_after, seconds(7));
  EXPECT_EQ(got.body, "slow down");
  EXPECT_EQ(got.end, "finished");
  EXPECT_EQ(server.tell("log"), "GET /a?b=c -");
}

TEST_F(HttpClientTest, SendsBodies) {
  ScriptedServer server;
  for (const char* method : {"POST", "PATCH"}) {
    auto made = request(url(server, "/x"));
    made.method = method;
    made.body = "{\"a\":1}";
    const auto& got = fetch(made);
    EXPECT_EQ(got.status, 201);
    EXPECT_EQ(got.body, "{\"a\":1}");
  }
  EXPECT_EQ(server.tell("log"), "POST /x - {\"a\":1}|PATCH /x - {\"a\":1}");
}

TEST_F(HttpClientTest, GivesTheBytesOfAStreamAsTheyCome) {
  ScriptedServer server;
  server.tell("collection /w");
  recorder.then = [&] {
    if (recorder.body.empty()) server.tell("send /w one");
    if (recorder.body == "one") server.tell("send /w two");
    if (recorder.body == "onetwo") server.tell("end /w");
    if (!recorder.end.empty()) loop->stop();
  };
  client->start(request(url(server, "/w?watch=1")), recorder);
  run();
  EXPECT_EQ(recorder.end, "finished");
  EXPECT_EQ(recorder.body, "onetwo");
}

TEST_F(HttpClientTest, AStreamThatBreaksOffFails) {
  ScriptedServer server;
  server.tell("collection /w");
  recorder.then = [&] {
    if (recorder.heads == 1 && recorder.body.empty()) server.tell("send /w half");
    if (recorder.body == "half" && recorder.end.empty()) server.tell("cut /w");
    if (!recorder.end.empty()) loop->stop();
  };
  client->start(request(url(server, "/w?watch=1")), recorder);
  run();
  EXPECT_EQ(recorder.body, "half");
  EXPECT_EQ(recorder.failure.kind, HttpFailure::Kind::broken);
  EXPECT_NE(recorder.end.find("failed: "), std::string::npos);
}

TEST_F(HttpClientTest, NothingIsHeardOfWhatIsCancelled) {
  ScriptedServer server;
  server.tell("collection /w");
  HttpClient::TransferId watch = 0;
  Recorder other;
  recorder.then = [&] {
    client->cancel(watch);  // from within its own call
    client->start(request(url(server, "/other")), other);
  };
  other.then = [&] {
    if (other.end.empty()) return;
    server.tell("send /w late");
    loop->after(milliseconds(50), [this] { loop->stop(); });
  };
  watch = client->start(request(url(server, "/w?watch=1")), recorder);
  run();
  EXPECT_EQ(recorder.heads, 1);
  EXPECT_EQ(recorder.body + recorder.end, "");
  EXPECT_EQ(other.end, "finished");
  client->cancel(watch);
  client->cancel(12345);
}

TEST_F(HttpClientTest, AConnectionIsUsedAgainUnlessANewOneIsAskedFor) {
  ScriptedServer server;
  const auto ports_used = [&](bool new_connection) {
    auto made = request(url(server, "/"));
    made.new_connection = new_connection;
    return fetch(made).end;
  };
  // What the server sees of it is in the kernel's table: connections of this process to its port.
  const auto connections = [&] {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) {
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sin_family == AF_INET &&
          ntohs(peer.sin_port) == server.port()) {
        ++count;
      }
    }
    return count;
  };
  EXPECT_EQ(ports_used(false), "finished");
  EXPECT_EQ(ports_used(false), "finished");
  EXPECT_EQ(connections(), 1);
  EXPECT_EQ(ports_used(true), "finished");
  EXPECT_EQ(connections(), 2);
}

TEST_F(HttpClientTest, ProxiesOfTheEnvironmentAreIgnored) {
  ScriptedServer server;
  for (const char* name : {"http_proxy", "https_proxy", "ALL_PROXY"}) setenv(name, "http://127.0.0.1:1", 1);
  const auto made = request(url(server, "/"));
  EXPECT_EQ(fetch(made).end, "finished");
  for (const char* name : {"http_proxy", "https_proxy", "ALL_PROXY"}) unsetenv(name);
  auto through = made;
  through.proxy_url = "http://127.0.0.1:1";
  EXPECT_EQ(fetch(through).failure.kind, HttpFailure::Kind::refused);
}

TEST_F(HttpClientTest, AHostThatIsAnIpv6AddressIsInBrackets) {
  // Nobody listens on this port of ::1; that it is refused there shows that the URL was understood.
  const int holder = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  if (bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(holder);
    GTEST_SKIP() << "no IPv6 here";
  }
  socklen_t size = sizeof address;
  getsockname(holder, reinterpret_cast<sockaddr*>(&address), &size);
  const auto& got = fetch(request("http://[::1]:" + std::to_string(ntohs(address.sin6_port)) + "/"));
  EXPECT_EQ(got.end, "failed: connection refused, expected a server that listens there");
  close(holder);
}

struct FailureRow {
  const char* name;
  const char* scheme;
  const char* host;
  const char* certificate;  // of the server; empty: no TLS
  const char* authority;    // of the client; empty: the system's
  HttpFailure::Kind kind;
  const char* message;  // its beginning
};

const FailureRow kFailures[] = {
    {"a CA of somebody else", "https", "127.0.0.1", "server", "other", HttpFailure::Kind::untrusted,
     "the server's certificate is not of the configured CA, expected the CA that issued it ("},
    {"the system's CAs", "https", "127.0.0.1", "server", "", HttpFailure::Kind::untrusted,
     "the server's certificate is not of the configured CA, expected the CA that issued it ("},
    {"an expired certificate", "https", "127.0.0.1", "expired", "ca", HttpFailure::Kind::untrusted,
     "the server's certificate, or its CA's, has expired, expected one that is valid now (or this machine's "
     "clock is "
     "wrong)"},
    {"a certificate of another name", "https", "127.0.0.1", "named", "ca", HttpFailure::Kind::untrusted,
     "the server's certificate is not accepted (SSL: no alternative certificate subject name matches target "
     "host name "
     "'127.0.0.1'), expected one of the configured CA with the server's name or address"},
    {"no TLS behind https", "https", "127.0.0.1", "", "ca", HttpFailure::Kind::untrusted, "no TLS ("},
    {"TLS behind http", "http", "127.0.0.1", "server", "", HttpFailure::Kind::broken,
     "Empty reply from server"},
    {"a name that nobody has", "https", "no-such-host.invalid", "server", "ca", HttpFailure::Kind::unresolved,
     "the name does not resolve (Could not resolve host: no-such-host.invalid), expected a host with an "
     "address"},
};

TEST_F(HttpClientTest, SaysWhyThereIsNoConnection) {
  for (const auto& row : kFailures) {
    SCOPED_TRACE(row.name);
    const auto& pki = Certificates::get();
    const std::string name = row.certificate;
    ScriptedServer server(name.empty()
                              ? std::vector<std::string>{}
                              : std::vector<std::string>{pki.path(name + ".crt"), pki.path(name + ".key")});
    const auto& got = fetch(request(url(server, "/", row.scheme, row.host), row.authority));
    EXPECT_EQ(got.failure.kind, row.kind);
    EXPECT_EQ(got.failure.message.substr(0, std::string(row.message).size()), row.message)
        << got.failure.message;
    EXPECT_EQ(got.heads, 0);
  }
}

TEST_F(HttpClientTest, TrustsTheCaThatItIsGivenForTheNameAndTheAddress) {
  const auto& pki = Certificates::get();
  ScriptedServer server({pki.path("server.crt"), pki.path("server.key")});
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto& got = fetch(request(url(server, "/", "https", host), "ca"));
    EXPECT_EQ(got.end, "finished") << host;
    EXPECT_EQ(got.status, 404) << host;
  }
}

TEST_F(HttpClientTest, ChecksAnotherNameIfItIsToldTo) {
  const auto& pki = Certificates::get();
  ScriptedServer server({pki.path("named.crt"), pki.path("named.key")});
  auto made = request(url(server, "/x", "https"), "ca");
  made.certificate_name = "kubernetes.example";
  EXPECT_EQ(fetch(made).end, "finished");
  made.certificate_name = "other.example";
  EXPECT_EQ(fetch(made).failure.kind, HttpFailure::Kind::untrusted);
}

TEST_F(HttpClientTest, ShowsItsOwnCertificateWhereOneIsWanted) {
  const auto& pki = Certificates::get();
  ScriptedServer server({pki.path("server.crt"), pki.path("server.key"), pki.path("ca.crt")});
  auto made = request(url(server, "/", "https"), "ca");
  EXPECT_NE(fetch(made).end, "finished") << "without a certificate";
  TlsMaterial tls = *made.tls;
  tls.certificate = read("client.crt");
  tls.key = read("client.key");
  made.tls = std::make_shared<const TlsMaterial>(tls);
  EXPECT_EQ(fetch(made).end, "finished");
  made.new_connection = true;
  for (const char* key : {"ca.key", "encrypted.key"}) {
    tls.key = read(key);
    made.tls = std::make_shared<const TlsMaterial>(tls);
    const auto& got = fetch(made);
    EXPECT_EQ(got.failure.kind, HttpFailure::Kind::untrusted) << key;
    EXPECT_EQ(got.failure.message.find("the client certificate or its key cannot be used ("), 0u)
        << key << ": " << got.failure.message;
  }
}

TEST_F(HttpClientTest, GivesUpOnAServerThatTakesConnectionsAndSaysNothing) {
  ScriptedServer server;
  server.tell("silent");
  auto made = request(url(server, "/"));
  made.total_timeout = milliseconds(200);
  EXPECT_EQ(fetch(made).failure.kind, HttpFailure::Kind::timeout);
}

TEST_F(HttpClientTest, CanGoWhileTransfersRun) {
  ScriptedServer server;
  server.tell("collection /w");
  recorder.then = [this] { loop->stop(); };
  client->start(request(url(server, "/w?watch=1")), recorder);
  Recorder other;
  client->start(request("https://no-such-host.invalid/"), other);
  run();
  client.reset();
  EXPECT_EQ(recorder.heads, 1);
}

}  // namespace
}  // namespace postern::agent::kube
