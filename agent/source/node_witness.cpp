// SPDX-License-Identifier: Apache-2.0
#include "agent/source/node_witness.h"

#include <variant>

#include "agent/kube/object_decoder.h"

namespace postern::agent {
namespace {

const kube::Resource& nodes() { return kube::resource_of(kube::ResourceKind::nodes); }

// Whatever answers 200 to everything is no API server. A Node that cannot be read is one all the same.
bool is_node(const std::string& body, const std::string& name) {
  const auto decoded = kube::decode_object(nodes(), {body, body.size(), true});
  if (!decoded) return false;
  const auto* rejection = std::get_if<kube::Rejection>(&*decoded);
  return (rejection != nullptr ? rejection->key : std::get<kube::WatchedObject>(*decoded).key).name == name;
}

}  // namespace

std::string NodeWitness::target() const { return nodes().path_of(node_name_); }

void NodeWitness::doubt(Instant now) {
  if (node_name_.empty()) return;
  // The question that is waited for comes later than this anyway; one that runs may be answered already.
  const bool asks_later = waits();
  if (!doubts_) since_ = now;
  doubts_ = true;
  if (!asks_later) ask();
}

void NodeWitness::node_seen(Instant now) {
  if (!waits()) return;
  want_.wake = now;
  on_time(now);
}

void NodeWitness::ask() {
  want_ = {};
  want_.request = ++requests_;
}

void NodeWitness::on_time(Instant now) {
  if (waits() && now >= want_.wake) ask();
}

void NodeWitness::on_answer(std::uint64_t request, const Result<kube::ApiAnswer>& answer, Instant now) {
  if (request == 0 || request != want_.request) return;
  want_ = {};
  if (answer) return judge(*answer, now);
  fail_with("the API server has not said whether it knows " + node() + ": " + answer.error().to_string(), now);
}

void NodeWitness::judge(const kube::ApiAnswer& answer, Instant now) {
  if (answer.status == 200 && is_node(answer.body, node_name_)) {
    said_forbidden_ = false;
    return believe();
  }
  if (answer.status == 403) {
    if (!said_forbidden_) {
      news_.warning = "cannot get " + node() + ": the ClusterRole needs get on nodes; without it an API server that " +
                      "was restored or restarted empty cannot be told from one whose objects were deleted, and opens " +
                      "every pod";
    }
    said_forbidden_ = true;
    return believe();
  }
  if (answer.status == 404) {
    return fail_with("the API server does not know " + node() +
                         " (it was restored or restarted empty, the node was deleted, or --node-name is wrong)",
                     now);
  }
  kube::ApiStatus status = kube::decode_status(answer.body);
  status.code = answer.status;
  fail_with("the API server has not said whether it knows " + node() + ": " +
                (answer.status == 200 ? "what it answered is not that node" : kube::to_string(status)),
            now);
}

void NodeWitness::believe() {
  if (!trouble_.empty() && !said_forbidden_) {
    news_.notice = "the API server knows " + node() + "; what it says is followed again";
  }
  doubts_ = false;
  trouble_.clear();
  backoff_ = kube::Backoff(kLongestWait);
}

void NodeWitness::fail_with(std::string trouble, Instant now) {
  if (trouble != trouble_) news_.warning = trouble + "; what is enforced stays until it does";
  trouble_ = std::move(trouble);
  want_.wake = now + backoff_.next(now, prng_);
}

}  // namespace postern::agent
