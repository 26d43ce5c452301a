// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/http_fetcher.h"

#include <utility>

namespace postern::agent::kube {

// One request. It ends by end(), which frees it.
class HttpFetcher::Fetch : public HttpReceiver {
 public:
  Fetch(HttpFetcher& fetcher, Done done) : fetcher_(fetcher), done_(std::move(done)) {}
  ~Fetch() override { fetcher_.client_.cancel(transfer_); }

  void start(const HttpRequest& request) { transfer_ = fetcher_.client_.start(request, *this); }

  void head(const HttpHead& head) override {
    reply_.status = head.status;
    reply_.retry_after = head.retry_after;
  }
  void bytes(std::string_view bytes) override {
    if (reply_.body.size() + bytes.size() > fetcher_.most_bytes_) {
      return end(
          fail(ErrorCode::io, "the answer has more than " + std::to_string(fetcher_.most_bytes_) + " bytes"));
    }
    reply_.body.append(bytes);
  }
  void finished() override { end(std::move(reply_)); }
  void failed(const HttpFailure& failure) override { end(fail(ErrorCode::io, failure.message)); }

 private:
  void end(const Result<HttpReply>& reply) {
    const Done done = std::move(done_);
    fetcher_.under_way_.erase(this);
    done(reply);
  }

  HttpFetcher& fetcher_;
  Done done_;
  HttpClient::TransferId transfer_ = 0;
  HttpReply reply_;
};

HttpFetcher::HttpFetcher(HttpClient& client, std::size_t most_bytes)
    : client_(client), most_bytes_(most_bytes) {}
HttpFetcher::~HttpFetcher() = default;

void HttpFetcher::fetch(const HttpRequest& request, Done done) {
  auto made = std::make_unique<Fetch>(*this, std::move(done));
  Fetch* key = made.get();
  under_way_.emplace(key, std::move(made));
  key->start(request);
}

}  // namespace postern::agent::kube
