// SPDX-License-Identifier: Apache-2.0
// HTTP(S) on the event loop: libcurl's multi interface with its descriptors and its one timer handed to
// the loop. Nothing here blocks or has a thread (curl resolves names in one of its own).
//
// libcurl's callbacks only gather; receivers are called when libcurl has returned, so they may start and
// cancel transfers as they like. Whoever runs this ignores SIGPIPE.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/http_answer.h"
#include "agent/loop/event_loop.h"
#include "engine/base/result.h"
#include "engine/base/time.h"

namespace postern::agent::kube {

// PEM, all of it. An empty authority stands for the system's CAs.
struct TlsMaterial {
  std::string authority;
  std::string certificate;
  std::string key;
  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

struct HttpRequest {
  std::string method = "GET";        // GET, POST, PUT, PATCH
  std::string url;                   // http:// or https://, an IPv6 host in brackets
  std::vector<std::string> headers;  // "Accept: application/json"
  std::string body;                  // of every other method than GET
  std::shared_ptr<const TlsMaterial> tls;
  std::string proxy_url;           // empty: none, unless the environment is asked
  bool environment_proxy = false;  // HTTPS_PROXY and NO_PROXY decide, as curl reads them
  std::string certificate_name;    // that the server's certificate must have in place of the URL's host
  Duration connect_timeout = seconds(10);
  Duration total_timeout{};     // zero: none
  bool new_connection = false;  // else one that is open is used again
};

// Of one transfer: head, bytes as they come, then finished or failed, which is the last.
class HttpReceiver {
 public:
  virtual ~HttpReceiver() = default;
  virtual void head(const HttpHead& head) = 0;
  virtual void bytes(std::string_view bytes) = 0;
  virtual void finished() = 0;
  virtual void failed(const HttpFailure& failure) = 0;
};

class HttpClient {
 public:
  using TransferId = std::uint64_t;

  // The loop outlives the client. Errors: internal.
  static Result<std::unique_ptr<HttpClient>> make(EventLoop& loop);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The receiver lives until its last call, or until cancel(); it is never called from within start().
  TransferId start(const HttpRequest& request, HttpReceiver& receiver);
  // Nothing more is heard of it. No effect on one that has ended.
  void cancel(TransferId transfer);

 private:
  struct Transfer;
  struct Curl;

  explicit HttpClient(EventLoop& loop);
  void act(int socket, int events);
  void deliver();
  void deliver_to(TransferId id);
  void collect_ended();

  EventLoop& loop_;
  std::unique_ptr<Curl> curl_;
  EventLoop::TimerId timer_ = 0;
  std::map<TransferId, std::unique_ptr<Transfer>> transfers_;
  TransferId next_transfer_ = 1;
};

}  // namespace postern::agent::kube
