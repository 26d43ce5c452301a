// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/api_client.h"

#include <utility>

namespace postern::agent::kube {

// A call under way. It ends by end_call(), which frees it.
class ApiClient::Call : public HttpReceiver {
 public:
  Call(ApiClient& api, ApiCall call, Done done) : api_(api), call_(std::move(call)), done_(std::move(done)) {}
  ~Call() override {
    api_.cancel(transfer_);
    api_.loop_.cancel(timer_);
  }

  // From the loop, so that not even a failure to start is told from within call().
  void start_later() {
    timer_ = api_.loop_.after({}, [this] { start(false); });
  }

  void head(const HttpHead& head) override { answer_.status = head.status; }
  void bytes(std::string_view bytes) override {
    answer_.body.append(bytes);
    if (answer_.body.size() > kMaxAnswer)
      end(fail(ErrorCode::io,
               "the answer to " + call_.target + " has more than " + std::to_string(kMaxAnswer) + " bytes"));
  }
  void finished() override {
    transfer_ = 0;
    if (answer_.status == 401 && !again_) return start(true);
    end(std::move(answer_));
  }
  void failed(const HttpFailure& failure) override {
    transfer_ = 0;
    end(fail(ErrorCode::io, api_.describe(failure)));
  }

  Done take_done() { return std::move(done_); }

 private:
  void start(bool again) {
    again_ = again;
    answer_ = {};
    if (auto fresh = api_.credentials_.refresh(EventLoop::now(), again); !fresh) return end(fail_as(fresh));
    HttpRequest request = api_.request(call_.target);
    request.method = call_.method;
    request.body = call_.body;
    request.total_timeout = kCallTimeout;
    if (!call_.content_type.empty()) request.headers.push_back("Content-Type: " + call_.content_type);
    transfer_ = api_.http_->start(request, *this);
  }
  void end(Result<ApiAnswer> answer) { api_.end_call(this, std::move(answer)); }

  ApiClient& api_;
  ApiCall call_;
  Done done_;
  EventLoop::TimerId timer_ = 0;
  HttpClient::TransferId transfer_ = 0;
  bool again_ = false;
  ApiAnswer answer_;
};

ApiClient::ApiClient(EventLoop& loop, ClusterConfig config) : loop_(loop), credentials_(std::move(config)) {}

ApiClient::~ApiClient() { calls_.clear(); }

Result<std::unique_ptr<ApiClient>> ApiClient::make(EventLoop& loop, ClusterConfig config) {
  std::unique_ptr<ApiClient> api(new ApiClient(loop, std::move(config)));
  if (auto read = api->credentials_.refresh(EventLoop::now(), true); !read) return fail_as(read);
  auto http = HttpClient::make(loop);
  if (!http) return fail_as(http);
  api->http_ = std::move(*http);
  return api;
}

HttpRequest ApiClient::request(const std::string& target) const {
  HttpRequest request;
  request.url = config().server + target;
  request.tls = credentials_.tls();
  request.proxy_url = config().proxy_url;
  request.certificate_name = config().tls_server_name;
  request.headers = {"Accept: application/json", "User-Agent: postern-agent"};
  if (!credentials_.token().empty())
    request.headers.push_back("Authorization: Bearer " + credentials_.token());
  return request;
}

Result<HttpClient::TransferId> ApiClient::stream(const std::string& target, StreamOptions options,
                                                 HttpReceiver& receiver) {
  if (auto fresh = credentials_.refresh(EventLoop::now(), options.new_credentials); !fresh)
    return fail_as(fresh);
  HttpRequest to_send = request(target);
  to_send.new_connection = options.new_connection;
  return http_->start(to_send, receiver);
}

void ApiClient::call(ApiCall call, Done done) {
  auto made = std::make_unique<Call>(*this, std::move(call), std::move(done));
  Call* key = made.get();
  calls_.emplace(key, std::move(made));
  key->start_later();
}

void ApiClient::end_call(Call* call, Result<ApiAnswer> answer) {
  const Done done = call->take_done();
  calls_.erase(call);
  done(std::move(answer));
}

std::string ApiClient::describe(const HttpFailure& failure) const {
  return config().server + " (" + config().origin + "): " + failure.message;
}

}  // namespace postern::agent::kube
