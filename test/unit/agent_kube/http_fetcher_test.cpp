// SPDX-License-Identifier: Apache-2.0
// Whole answers from a server of its own.
#include "agent/kube/http_fetcher.h"

#include <gtest/gtest.h>

#include "test/unit/agent_kube/scripted_server.h"

namespace postern::agent::kube {
namespace {

class HttpFetcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop->after(seconds(20), [this] {
      ADD_FAILURE() << "nothing ended the loop";
      loop->stop();
    });
  }
  HttpRequest request(const std::string& method = "GET") const {
    HttpRequest made;
    made.method = method;
    made.url = "http://127.0.0.1:" + std::to_string(server.port()) + "/x";
    return made;
  }
  // "STATUS BODY", or the error's message.
  std::string fetched(HttpFetcher& fetcher, const HttpRequest& made) {
    std::string text;
    fetcher.fetch(made, [&](const Result<HttpReply>& reply) {
      text = reply ? std::to_string(reply->status) + " " + reply->body : reply.error().message;
      loop->stop();
    });
    EXPECT_TRUE(loop->run());
    return text;
  }

  ScriptedServer server;
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::make());
  std::unique_ptr<HttpClient> client = std::move(*HttpClient::make(*loop));
};

TEST_F(HttpFetcherTest, gives_status_and_body_together) {
  HttpFetcher fetcher(*client);
  auto put = request("PUT");
  put.body = "all of it";
  EXPECT_EQ(fetched(fetcher, put), "201 all of it");
  server.tell("answer 1 503 later");
  EXPECT_EQ(fetched(fetcher, request()), "503 later");
}

TEST_F(HttpFetcherTest, an_answer_above_the_limit_is_none) {
  HttpFetcher fetcher(*client, 4);
  server.tell("answer 1 200 12345");
  EXPECT_EQ(fetched(fetcher, request()), "the answer has more than 4 bytes");
}

TEST_F(HttpFetcherTest, a_server_that_is_away_is_an_error) {
  HttpFetcher fetcher(*client);
  HttpRequest nobody;
  nobody.url = "http://127.0.0.1:1/";
  EXPECT_EQ(fetched(fetcher, nobody), "connection refused, expected a server that listens there");
}

TEST_F(HttpFetcherTest, nothing_is_heard_of_what_is_under_way_when_it_goes) {
  bool heard = false;
  {
    HttpFetcher fetcher(*client);
    fetcher.fetch(request(), [&](const Result<HttpReply>&) { heard = true; });
  }
  loop->after(milliseconds(100), [this] { loop->stop(); });
  ASSERT_TRUE(loop->run());
  EXPECT_FALSE(heard);
}

}  // namespace
}  // namespace postern::agent::kube
