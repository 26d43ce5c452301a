// SPDX-License-Identifier: Apache-2.0
// Where the API server's address and credentials come from, and what is refused.
#include "agent/kube/cluster_config.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace postern::agent::kube {
namespace {

// A kubeconfig whose cluster and user are as given; k.yaml:10 is the cluster, k.yaml:13 the user.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\n"
         "kind: Config\n"
         "current-context: here\n"
         "contexts:\n"
         "- name: elsewhere\n"
         "  context: {cluster: c2, user: u2}\n"
         "- name: here\n"
         "  context: {cluster: c, user: u, namespace: x}\n"
         "clusters:\n"
         "- {name: c, cluster: {" +
         cluster +
         "}}\n"
         "- {name: c2, cluster: {server: \"https://elsewhere:6443\"}}\n"
         "users:\n"
         "- {name: u, user: {" +
         user + "}}\n";
}

const char* const kServer = "server: \"https://10.0.0.1:6443/\"";

TEST(Kubeconfig, SaysTheServerAndTheCredentialsOfTheCurrentContext) {
  const auto config = read_kubeconfig(
      kubeconfig(std::string(kServer) + ", certificate-authority: pki/ca.crt, tls-server-name: kubernetes, "
                                        "proxy-url: \"http://proxy:3128\"",
                 "client-certificate-data: Q0VSVA==, client-key: /keys/u.key, token: secret"),
      "/etc/agent/k.yaml");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->origin, "context here of /etc/agent/k.yaml");
  EXPECT_EQ(config->authority.file, "/etc/agent/pki/ca.crt");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->proxy_url, "http://proxy:3128");
  EXPECT_EQ(config->client_certificate.file, "");
  EXPECT_EQ(config->client_certificate.data, "CERT");
  EXPECT_EQ(config->client_key.file, "/keys/u.key");
  EXPECT_EQ(config->token.data, "secret");
}

TEST(Kubeconfig, DataWinsOverAFileAndATokenFileOverAToken) {
  const auto config = read_kubeconfig(
      kubeconfig(std::string(kServer) + ", certificate-authority: ca.crt, certificate-authority-data: Q0E=",
                 "token: old, tokenFile: token"),
      "k.yaml");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->authority.data, "CA");
  EXPECT_EQ(config->token.file, "token");
  EXPECT_EQ(config->token.data, "");
}

TEST(Kubeconfig, MayBeJson) {
  const auto config = read_kubeconfig(
      R"({"current-context":"a","contexts":[{"name":"a","context":{"cluster":"b","user":"c"}}],"clusters":[{"name":"b",
      "cluster":{"server":"http://127.0.0.1:8080"}}],"users":[{"name":"c","user":{}}]})",
      "k.json");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->server, "http://127.0.0.1:8080");
  EXPECT_FALSE(config->token.given());
}

struct WrongRow {
  const char* name;
  std::string text;
  const char* error;
};

const WrongRow kWrongRows[] = {
    {"nothing", "", "k.yaml: found nothing, expected a kubeconfig (apiVersion: v1, kind: Config)"},
    {"no YAML", "a: [", "k.yaml:2:1: "},
    {"no context", "{contexts: []}",
     "k.yaml:1:1: current-context: found nothing, expected the name of a context"},
    {"an unknown context", "current-context: a\ncontexts: [{name: b, context: {}}, {name: c, context: {}}]\n",
     "k.yaml:1:18: found no context \"a\" in contexts, expected one of: b, c"},
    {"an unknown cluster",
     "current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\nusers: [{name: c, user: "
     "{}}]\n",
     "k.yaml:2:41: found no cluster \"b\" in clusters, expected one of: (none)"},
    {"no server", kubeconfig("", ""),
     "k.yaml:10:22: server: found \"\", expected https://HOST:PORT (an IPv6 HOST in brackets)"},
    {"a server without https", kubeconfig("server: \"10.0.0.1:6443\"", ""),
     "k.yaml:10:31: server: found \"10.0.0.1:6443\", expected https://HOST:PORT (an IPv6 HOST in brackets)"},
    {"no TLS to another machine", kubeconfig("server: \"http://10.0.0.1:8080\"", "token: t"),
     "k.yaml:10:31: server: found http://10.0.0.1:8080, which anybody on the way could answer; expected "
     "https://, or http:// "
     "to this machine itself"},
    {"no verification", kubeconfig(std::string(kServer) + ", insecure-skip-tls-verify: true", ""),
     "k.yaml:10:83: insecure-skip-tls-verify is refused: whoever answers could switch policy off; expected "
     "certificate-authority or certificate-authority-data of the API server's CA"},
    {"exec", kubeconfig(kServer, "exec: {command: aws}"),
     "k.yaml:13:26: exec is not supported (it runs a program to get credentials), expected token, tokenFile, "
     "or client-certificate and "
     "client-key; in a pod its service account is enough"},
    {"auth-provider", kubeconfig(kServer, "auth-provider: {name: oidc}"),
     "k.yaml:13:35: auth-provider is not supported (it is a plug-in of older clients), expected token, "
     "tokenFile, or client-certificate and "
     "client-key; in a pod its service account is enough"},
    {"a password", kubeconfig(kServer, "username: a, password: b"),
     "k.yaml:13:30: username is not supported (API servers since 1.19 know no passwords), expected token, "
     "tokenFile, or client-certificate and "
     "client-key; in a pod its service account is enough"},
    {"another's name", kubeconfig(kServer, "token: t, as: admin"),
     "k.yaml:13:34: as is not supported (it asks in another's name), expected token, tokenFile, or "
     "client-certificate and "
     "client-key; in a pod its service account is enough"},
    {"a certificate without its key", kubeconfig(kServer, "client-certificate: a"),
     "k.yaml:13:19: found client-certificate without client-key, expected both or none"},
    {"data that is no base64",
     kubeconfig(std::string(kServer) + ", certificate-authority-data: \"-----BEGIN\"", ""),
     "k.yaml:10:85: certificate-authority-data: found what is no base64, expected base64 of PEM"},
};

TEST(Kubeconfig, WhatIsWrongWithItIsSaidWithItsPlace) {
  for (const auto& row : kWrongRows) {
    const auto config = read_kubeconfig(row.text, "k.yaml");
    ASSERT_FALSE(config) << row.name;
    const std::string error = config.error().to_string();
    if (row.error[std::string(row.error).size() - 1] == ' ') {
      EXPECT_EQ(error.substr(0, std::string(row.error).size()), row.error) << row.name;
    } else {
      EXPECT_EQ(error, row.error) << row.name;
    }
  }
}

class ConfigSourcesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/postern-kube-config-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    root = folder;
    write("flag", "flag");
    write("second", "second");
    std::filesystem::create_directories(root + "/home/.kube");
    write("home/.kube/config", "home");
    std::filesystem::create_directories(root + "/account");
    std::ofstream(root + "/account/token") << "t";
    std::ofstream(root + "/account/ca.crt") << "c";
    sources.service_account_folder = root + "/account";
  }
  void TearDown() override { std::filesystem::remove_all(root); }
  void write(const std::string& name, const std::string& host) const {
    std::ofstream(root + "/" + name) << kubeconfig("server: \"https://" + host + ":1\"", "");
  }
  std::string server() const {
    const auto config = find_cluster_config(sources);
    return config ? config->server : config.error().to_string();
  }

  std::string root;
  ConfigSources sources;
};

TEST_F(ConfigSourcesTest, AreTakenInOrder) {
  sources.home = root + "/home";
  EXPECT_EQ(server(), "https://home:1");
  sources.service_host = "10.96.0.1";
  EXPECT_EQ(server(), "https://home:1") << "a host without a port is no pod";
  sources.service_port = "443";
  EXPECT_EQ(server(), "https://10.96.0.1:443");
  sources.kubeconfig = root + "/missing::" + root + "/second:" + root + "/flag";
  EXPECT_EQ(server(), "https://second:1");
  sources.flag = root + "/flag";
  EXPECT_EQ(server(), "https://flag:1");
}

TEST_F(ConfigSourcesTest, APodHasItsTokenAndCaInFiles) {
  sources.service_host = "fd00::1";
  sources.service_port = "443";
  const auto config = find_cluster_config(sources);
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->origin, "the service account of this pod");
  EXPECT_EQ(config->token.file, root + "/account/token");
  EXPECT_EQ(config->authority.file, root + "/account/ca.crt");
}

TEST_F(ConfigSourcesTest, ThatAreNamedAndNotThereAreErrorsAndNotPassedOver) {
  sources.home = root + "/home";
  sources.service_host = "10.96.0.1";
  sources.service_port = "443";
  std::filesystem::remove(root + "/account/token");
  EXPECT_EQ(server(),
            root +
                "/account/token: No such file or directory, expected what Kubernetes mounts there in a pod "
                "(automountServiceAccountToken), or a --kubeconfig");
  sources.kubeconfig = root + "/missing";
  EXPECT_EQ(server(), "KUBECONFIG is \"" + root +
                          "/missing\" and no such file exists, expected one that does, or no "
                          "KUBECONFIG");
  sources.flag = root + "/none";
  EXPECT_EQ(server(), root + "/none: No such file or directory, expected a readable kubeconfig");
  sources.flag = root;
  EXPECT_EQ(server(), root + ": Is a directory, expected a readable kubeconfig");
}

TEST_F(ConfigSourcesTest, WithoutAnyTheErrorNamesAll) {
  sources.home = root;
  EXPECT_EQ(
      server(),
      "no API server is configured: found no --kubeconfig, no KUBECONFIG, no pod (KUBERNETES_SERVICE_HOST "
      "and KUBERNETES_SERVICE_PORT) and no " +
          root + "/.kube/config, expected one of them");
}

TEST(Base64, IsDecodedOrRefused) {
  struct Row {
    const char* text;
    std::optional<std::string> bytes;
  };
  const Row rows[] = {
      {"", ""},
      {"Zg==", "f"},
      {"Zm8=", "fo"},
      {"Zm9v", "foo"},
      {"Zm9vYg==", "foob"},
      {"Zm9v\nYmFy\n", "foobar"},
      {"+/+/", "\xfb\xff\xbf"},
      {"Zg=", std::nullopt},
      {"Zg", std::nullopt},
      {"Z", std::nullopt},
      {"Zg==Zg==", std::nullopt},
      {"Zm9-", std::nullopt},
      {"=", std::nullopt},
      {"Zm9v====", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(decode_base64(row.text), row.bytes) << row.text;
}

TEST(Urls, HaveAHost) {
  struct Row {
    const char* url;
    std::optional<std::string> host;
  };
  const Row rows[] = {
      {"https://a.example:6443", "a.example"},
      {"https://a.example/prefix", "a.example"},
      {"http://127.0.0.1", "127.0.0.1"},
      {"https://[fd00::1]:443", "fd00::1"},
      {"https://user@a", std::nullopt},
      {"https://", std::nullopt},
      {"https://[]:1", std::nullopt},
      {"https://[fd00::1", std::nullopt},
      {"ftp://a", std::nullopt},
      {"a:443", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(host_of(row.url), row.host) << row.url;
}

}  // namespace
}  // namespace postern::agent::kube
