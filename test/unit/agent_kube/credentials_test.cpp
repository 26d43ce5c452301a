// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/credentials.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace postern::agent::kube {
namespace {

const char* const kCertificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const char* const kKey = "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n";

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/postern-kube-credentials-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    root = folder;
    write("ca", kCertificate);
    write("crt", kCertificate);
    write("key", kKey);
    write("token", "first\n");
    config.origin = "the test";
    config.authority = {root + "/ca", "", "certificate-authority"};
    config.client_certificate = {root + "/crt", "", "client-certificate"};
    config.client_key = {root + "/key", "", "client-key"};
    config.token = {root + "/token", "", "tokenFile"};
  }
  void TearDown() override { std::filesystem::remove_all(root); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root + "/" + name) << text;
  }

  std::string root;
  ClusterConfig config;
};

TEST_F(CredentialsTest, AreReadFromFilesAndReadAgainEveryMinuteOrWhenTheyAreRefused) {
  Credentials credentials(config);
  const Instant start{seconds(100).ns};
  ASSERT_TRUE(credentials.refresh(start, false));
  EXPECT_EQ(credentials.token(), "first");
  EXPECT_EQ(credentials.tls()->authority, kCertificate);
  EXPECT_EQ(credentials.tls()->key, kKey);
  const auto tls = credentials.tls();
  write("token", "second\n");
  ASSERT_TRUE(credentials.refresh(start + seconds(59), false));
  EXPECT_EQ(credentials.token(), "first");
  ASSERT_TRUE(credentials.refresh(start + seconds(60), false));
  EXPECT_EQ(credentials.token(), "second");
  write("token", "third");
  ASSERT_TRUE(credentials.refresh(start + seconds(61), true));
  EXPECT_EQ(credentials.token(), "third");
  EXPECT_EQ(credentials.tls(), tls) << "the same bytes are the same material";
  write("ca", std::string(kCertificate) + kCertificate);
  ASSERT_TRUE(credentials.refresh(start + seconds(62), true));
  EXPECT_NE(credentials.tls(), tls);
}

TEST_F(CredentialsTest, ThatCannotBeReadAgainStayWhatTheyWere) {
  Credentials credentials(config);
  const Instant start{seconds(100).ns};
  ASSERT_TRUE(credentials.refresh(start, false));
  std::filesystem::remove(root + "/token");
  EXPECT_TRUE(credentials.refresh(start + seconds(100), false));
  EXPECT_EQ(credentials.token(), "first");
  const auto refused = credentials.refresh(start + seconds(200), true);
  ASSERT_FALSE(refused) << "what an API server refused and nobody renews is an error";
  EXPECT_EQ(refused.error().message,
            root + "/token: No such file or directory, expected a readable tokenFile");
  EXPECT_EQ(credentials.token(), "first");
}

TEST_F(CredentialsTest, ThatAreWrongAreNamed) {
  struct Row {
    const char* file;
    const char* text;  // null: not there
    const char* error;
  };
  const Row rows[] = {
      {"ca", nullptr, "/ca: No such file or directory, expected a readable certificate-authority"},
      {"ca", "nonsense", "/ca: found no PEM block \"CERTIFICATE\", expected one as certificate-authority"},
      {"crt", "", "/crt: found no PEM block \"CERTIFICATE\", expected one as client-certificate"},
      {"key", kCertificate, "/key: found no PEM block \"PRIVATE KEY\", expected one as client-key"},
      {"key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
       "/key: found an encrypted key, expected one without a password"},
      {"token", "\n", "/token: found nothing, expected a bearer token on one line"},
      {"token", "a\nb",
       "/token: found spaces or control characters inside, expected a bearer token on one line"},
  };
  for (const auto& row : rows) {
    SetUp();
    if (row.text == nullptr) {
      std::filesystem::remove(root + "/" + row.file);
    } else {
      write(row.file, row.text);
    }
    const auto refreshed = Credentials(config).refresh({}, false);
    ASSERT_FALSE(refreshed) << row.error;
    EXPECT_EQ(refreshed.error().message, root + row.error);
    TearDown();
  }
  SetUp();
  config.authority = {"", "nonsense", "certificate-authority-data"};
  EXPECT_EQ(Credentials(config).refresh({}, false).error().message,
            "certificate-authority-data of the test: found no PEM block \"CERTIFICATE\", expected one as "
            "certificate-authority-data");
}

}  // namespace
}  // namespace postern::agent::kube
