// SPDX-License-Identifier: Apache-2.0
// What is asked when, and what each answer makes of it. The clock stands until it is moved.
#include "agent/source/node_witness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::agent::node_witness_test {
namespace {

using ::testing::HasSubstr;

std::string node_json(const std::string& name, const std::string& kind = "Node") {
  return R"({"kind":")" + kind + R"(","apiVersion":"v1","metadata":{"name":")" + name +
         R"(","uid":"u","resourceVersion":"7"},"status":{"addresses":[]}})";
}
const char* const kNotFound =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"nodes \"n1\" not found",)"
    R"("reason":"NotFound","code":404})";

class NodeWitnessTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::uint64_t question() const { return witness.want().request; }
  void answer(int status, const std::string& body) { answer_to(question(), status, body); }
  void answer_to(std::uint64_t request, int status, const std::string& body) {
    witness.on_answer(request, kube::ApiAnswer{status, body}, now);
  }
  void no_answer() { witness.on_answer(question(), fail(ErrorCode::io, "connection refused"), now); }
  // The wait that it wants; then lets it pass.
  Duration wait() {
    EXPECT_EQ(question(), 0u) << "it asks";
    const Duration time = witness.want().wake - now;
    witness.on_time(witness.want().wake + Duration{-1});
    EXPECT_EQ(question(), 0u) << "it did not wait as long as it said";
    now = witness.want().wake;
    witness.on_time(now);
    EXPECT_NE(question(), 0u);
    return time;
  }

  Instant now{seconds(1000).ns};
  NodeWitness witness{"n1", Prng(1)};
};

TEST_F(NodeWitnessTest, AsksNothingUntilThereIsADoubt) {
  EXPECT_FALSE(witness.doubts());
  EXPECT_EQ(question(), 0u);
  witness.on_time(now + seconds(1000));
  witness.node_seen(now);
  EXPECT_EQ(question(), 0u);
  EXPECT_EQ(witness.target(), "/api/v1/nodes/n1");
}

struct Row {
  const char* name;
  int status;
  std::string body;
  bool believed;
  const char* trouble;
  const char* warning;
};

TEST_F(NodeWitnessTest, EachAnswerEitherConfirmsOrChangesNothing) {
  const std::vector<Row> rows{
      {"the node", 200, node_json("n1"), true, "", ""},
      {"a node that cannot be read", 200,
       R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n1"},)"
       R"("status":{"addresses":[{"type":"InternalIP","address":"x"}]}})",
       true, "", ""},
      {"another node", 200, node_json("n2"), false, "not that node", "not that node"},
      {"another kind", 200, node_json("n1", "Namespace"), false, "not that node", "not that node"},
      {"a list", 200, R"({"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[]})", false, "not that node",
       "not that node"},
      {"a page of a proxy", 200, "<html>", false, "not that node", "what is enforced stays until it does"},
      {"not found", 404, kNotFound, false, "the API server does not know node \"n1\"",
       "what is enforced stays until it does"},
      {"not found, by a proxy", 404, "404 page not found", false, "does not know node \"n1\"",
       "does not know node \"n1\""},
      {"forbidden", 403, "", true, "", "the ClusterRole needs get on nodes"},
      {"unauthorized", 401, "", false, "401", "401"},
      {"too many requests", 429, "slow", false, "429: slow", "429"},
      {"an error of the server", 500, "oops", false, "has not said whether it knows node \"n1\": 500: oops", "500"},
      {"gone", 410, "", false, "410", "410"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    witness = NodeWitness("n1", Prng(1));
    witness.doubt(now);
    EXPECT_EQ(witness.trouble(), "");
    EXPECT_TRUE(witness.doubts());
    answer(row.status, row.body);
    EXPECT_EQ(witness.doubts(), !row.believed);
    EXPECT_THAT(witness.trouble(), HasSubstr(row.trouble));
    EXPECT_EQ(witness.trouble().empty(), row.believed);
    const auto news = witness.take_news();
    EXPECT_THAT(news.warning, HasSubstr(row.warning));
    EXPECT_EQ(news.warning.empty(), std::string(row.warning).empty());
    EXPECT_EQ(news.notice, "");
    EXPECT_EQ(question(), 0u);
  }
}

TEST_F(NodeWitnessTest, AsksAgainWithABackOffUntilTheNodeIsKnown) {
  witness.doubt(now);
  const Instant began = now;
  for (const std::int64_t base_ms : {800, 1600, 3200, 6400, 10000, 10000}) {
    answer(404, kNotFound);
    const Duration waited = wait();
    EXPECT_GE(waited, milliseconds(base_ms));
    EXPECT_LE(waited, milliseconds(2 * base_ms));
  }
  EXPECT_EQ(witness.since(), began);
  EXPECT_THAT(witness.take_news().warning, HasSubstr("does not know"));
  answer(200, node_json("n1"));
  EXPECT_FALSE(witness.doubts());
  EXPECT_EQ(witness.trouble(), "");
  EXPECT_EQ(witness.take_news().notice, "the API server knows node \"n1\"; what it says is followed again");

  now = now + seconds(1);
  witness.doubt(now);
  EXPECT_EQ(witness.since(), now);
  no_answer();
  EXPECT_LE(wait(), milliseconds(1600)) << "it begins anew";
}

TEST_F(NodeWitnessTest, TheSameTroubleIsSaidOnce) {
  witness.doubt(now);
  answer(404, kNotFound);
  EXPECT_NE(witness.take_news().warning, "");
  wait();
  answer(404, kNotFound);
  EXPECT_EQ(witness.take_news().warning, "");
  wait();
  no_answer();
  EXPECT_THAT(witness.take_news().warning, HasSubstr("connection refused"));
  EXPECT_THAT(witness.trouble(), HasSubstr("connection refused"));
}

TEST_F(NodeWitnessTest, AnAnswerCountsOnlyForWhatWasInDoubtBeforeItWasAskedFor) {
  witness.doubt(now);
  const auto first = question();
  witness.doubt(now);
  const auto second = question();
  EXPECT_NE(first, second) << "a list that came meanwhile may be of a server that the answer is not of";
  answer_to(first, 200, node_json("n1"));
  EXPECT_TRUE(witness.doubts());
  EXPECT_EQ(question(), second);
  answer_to(second, 404, kNotFound);
  EXPECT_TRUE(witness.doubts());
  answer_to(second, 200, node_json("n1"));
  answer_to(0, 200, node_json("n1"));
  EXPECT_TRUE(witness.doubts()) << "a question has one answer, and none is none";
}

TEST_F(NodeWitnessTest, ADoubtWhileItWaitsDoesNotShortenTheWait) {
  witness.doubt(now);
  answer(404, kNotFound);
  const Instant wake = witness.want().wake;
  const Instant began = witness.since();
  now = now + milliseconds(1);
  witness.doubt(now);
  EXPECT_EQ(question(), 0u);
  EXPECT_EQ(witness.want().wake, wake);
  EXPECT_EQ(witness.since(), began);
}

TEST_F(NodeWitnessTest, TheNodesOwnAppearanceDoes) {
  witness.doubt(now);
  answer(404, kNotFound);
  now = now + milliseconds(1);
  witness.node_seen(now);
  ASSERT_NE(question(), 0u);
  EXPECT_TRUE(witness.doubts()) << "it is a reason to ask, no answer";
  const auto asked = question();
  witness.node_seen(now);
  EXPECT_EQ(question(), asked);
  answer(200, node_json("n1"));
  EXPECT_FALSE(witness.doubts());
}

TEST_F(NodeWitnessTest, AMissingRightIsSaidOnceAndAgainAfterItWasThere) {
  const auto told = [&](int status) {
    witness.doubt(now);
    answer(status, node_json("n1"));
    EXPECT_FALSE(witness.doubts());
    return !witness.take_news().warning.empty();
  };
  EXPECT_TRUE(told(403));
  EXPECT_FALSE(told(403));
  EXPECT_FALSE(told(200));
  EXPECT_TRUE(told(403));
}

TEST_F(NodeWitnessTest, WithoutANameEverythingIsBelieved) {
  NodeWitness nobody("", Prng(1));
  nobody.doubt(now);
  EXPECT_FALSE(nobody.doubts());
  EXPECT_EQ(nobody.want().request, 0u);
}

}  // namespace
}  // namespace postern::agent::node_witness_test
