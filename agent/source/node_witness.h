// SPDX-License-Identifier: Apache-2.0
// Whether the API server is one that knows this node. A server that was restored or restarted empty answers
// lists rightly and with nothing; to believe it would open every pod. Its own node is what a server that
// serves this node has, so that is asked for before something is believed that no event has said.
//
// A pure state machine, as kube/reflector.h is: answers and moments come in; what should be asked, and until
// when to wait, goes out. 200 confirms. 404 and no answer confirm nothing, and it is asked again. Where the
// account may not ask, or nobody knows the node's name, there is no witness, and the server is believed.
#pragma once

#include <string>
#include <utility>

#include "agent/kube/api_client.h"
#include "agent/kube/backoff.h"

namespace postern::agent {

class NodeWitness {
 public:
  // 800 ms, doubled up to this, stretched up to twofold. The node's own appearance is not waited for so long.
  static constexpr Duration kLongestWait = seconds(10);

  struct Want {
    std::uint64_t request = 0;  // the question that is to run, a GET of target(); 0: none
    Instant wake{};             // without one, and while something is in doubt: call on_time at or after this
  };
  // What an operator should know, said once; empty where there is nothing.
  struct News {
    std::string warning;
    std::string notice;
  };

  // An empty name: everything is believed.
  NodeWitness(std::string node_name, Prng prng) : node_name_(std::move(node_name)), prng_(prng) {}

  // What has come until now is in doubt, until a question that is asked from now on is answered.
  void doubt(Instant now);
  // The node has been seen in a list or a watch: where one waits to ask again, it is time.
  void node_seen(Instant now);
  // To a question that want() named. Only the newest counts.
  void on_answer(std::uint64_t request, const Result<kube::ApiAnswer>& answer, Instant now);
  void on_time(Instant now);

  [[nodiscard]] const Want& want() const { return want_; }
  // Answered without any cache, as it names no resourceVersion.
  [[nodiscard]] std::string target() const;
  [[nodiscard]] bool doubts() const { return doubts_; }
  // Why it still doubts; empty when it does not, or only waits for its first answer.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // When what is in doubt began to be; meaningful with doubts().
  [[nodiscard]] Instant since() const { return since_; }
  News take_news() { return std::exchange(news_, {}); }

 private:
  void ask();
  void believe();
  void fail_with(std::string trouble, Instant now);
  void judge(const kube::ApiAnswer& answer, Instant now);
  [[nodiscard]] std::string node() const { return "node \"" + node_name_ + "\""; }
  [[nodiscard]] bool waits() const { return doubts_ && want_.request == 0; }

  std::string node_name_;
  Prng prng_;
  kube::Backoff backoff_{kLongestWait};
  Want want_;
  std::uint64_t requests_ = 0;
  bool doubts_ = false;
  bool said_forbidden_ = false;
  std::string trouble_;
  Instant since_{};
  News news_;
};

}  // namespace postern::agent
