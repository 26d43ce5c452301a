// SPDX-License-Identifier: Apache-2.0
// Requests to one API server, with its address, trust and credentials. Streams for the watcher, and small
// calls with a whole answer for everything else.
//
// There is no limit of requests per second here: a resource has one request under way at a time, a watch
// lasts minutes, and every failure backs off (reflector.h). What could storm is the start of many nodes,
// which a limit per node would not help.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/kube/cluster_config.h"
#include "agent/kube/credentials.h"
#include "agent/kube/http_client.h"
#include "agent/loop/event_loop.h"

namespace postern::agent::kube {

struct ApiCall {
  std::string method = "GET";
  std::string target;        // "/api/v1/namespaces/shop/events"
  std::string content_type;  // of the body: "application/json", "application/merge-patch+json"
  std::string body;
};

struct ApiAnswer {
  int status = 0;
  std::string body;
};

class ApiClient {
 public:
  struct StreamOptions {
    bool new_credentials = false;
    bool new_connection = false;
  };
  using Done = std::function<void(Result<ApiAnswer>)>;

  static constexpr Duration kCallTimeout = seconds(30);
  static constexpr std::size_t kMaxAnswer = 4u << 20;

  // Reads the credentials once, so that what is missing is said at the start. Errors: as Credentials.
  static Result<std::unique_ptr<ApiClient>> make(EventLoop& loop, ClusterConfig config);
  ~ApiClient();

  // GET as a stream; see HttpReceiver. Errors: credentials that cannot be read; nothing has been sent then.
  Result<HttpClient::TransferId> stream(const std::string& target, StreamOptions options,
                                        HttpReceiver& receiver);
  void cancel(HttpClient::TransferId transfer) { http_->cancel(transfer); }

  // `done` is called once, later, unless the client goes first. Any status is an answer; after 401 the
  // credentials are read anew and the call is made once more. Errors: io for no answer.
  void call(ApiCall call, Done done);

  // "https://10.96.0.1:443 (context kind of /root/.kube/config): connection refused, expected …"
  [[nodiscard]] std::string describe(const HttpFailure& failure) const;
  [[nodiscard]] const ClusterConfig& config() const { return credentials_.config(); }

 private:
  class Call;
  ApiClient(EventLoop& loop, ClusterConfig config);
  [[nodiscard]] HttpRequest request(const std::string& target) const;
  void end_call(Call* call, Result<ApiAnswer> answer);

  EventLoop& loop_;
  Credentials credentials_;
  std::unique_ptr<HttpClient> http_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
};

}  // namespace postern::agent::kube
