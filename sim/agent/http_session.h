// SPDX-License-Identifier: Apache-2.0
// HTTP from inside a network namespace, one request after the other over connections that are kept.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "sim/netns/netns.h"

namespace postern::sim {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string body{};
  std::string content_type = "application/json";  // of the body, if there is one
};

struct HttpReply {
  long code = 0;
  std::string body;
};

// For https: whom to trust, and who asks. Paths of PEM files.
struct TlsFiles {
  std::string authority;
  std::string certificate;
  std::string key;
};

class HttpSession {
 public:
  // The namespace outlives the session.
  static Result<HttpSession> open(const Netns& from, TlsFiles tls = {});

  // Any status is an answer. Errors: io, when there was none within ten seconds.
  Result<HttpReply> ask(const HttpRequest& request);

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  HttpSession(const Netns& from, TlsFiles tls, std::unique_ptr<void, Close> handle)
      : from_(&from), tls_(std::move(tls)), handle_(std::move(handle)) {}

  const Netns* from_;
  TlsFiles tls_;
  std::unique_ptr<void, Close> handle_;
};

}  // namespace postern::sim
