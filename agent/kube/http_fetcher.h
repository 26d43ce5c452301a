// SPDX-License-Identifier: Apache-2.0
// Requests whose answer is wanted whole: one call of a function for each, with status and body together.
// For what is no stream, on the client that streams.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/kube/http_client.h"
#include "engine/base/result.h"

namespace postern::agent::kube {

struct HttpReply {
  int status = 0;
  std::optional<Duration> retry_after;
  std::string body;
};

class HttpFetcher {
 public:
  using Done = std::function<void(const Result<HttpReply>&)>;

  // The client outlives the fetcher. An answer with more bytes than that counts as none.
  explicit HttpFetcher(HttpClient& client, std::size_t most_bytes = 1u << 20);
  ~HttpFetcher();  // nothing more is heard of what is under way
  HttpFetcher(const HttpFetcher&) = delete;
  HttpFetcher& operator=(const HttpFetcher&) = delete;

  // `done` is called once, later, from the loop, unless the fetcher goes first. Any status is an answer.
  // Errors: io for no answer.
  void fetch(const HttpRequest& request, Done done);

 private:
  class Fetch;
  HttpClient& client_;
  std::size_t most_bytes_;
  std::map<Fetch*, std::unique_ptr<Fetch>> under_way_;
};

}  // namespace postern::agent::kube
