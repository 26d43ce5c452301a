// SPDX-License-Identifier: Apache-2.0
#include "agent/http/http_server.h"

#include <microhttpd.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "agent/http/listen_socket.h"
#include "agent/loop/event_loop.h"

namespace postern::agent {
namespace {

struct Page {
  unsigned status = MHD_HTTP_OK;
  std::string type;
  std::string text;
};
using Pages = std::map<std::string, std::function<Page()>, std::less<>>;

Page plain(unsigned status, std::string text) {
  return {status, "text/plain; charset=utf-8", std::move(text)};
}

Page health_page(const Health& health) {
  if (health.good) return plain(MHD_HTTP_OK, "ok\n");
  return plain(MHD_HTTP_SERVICE_UNAVAILABLE, health.reason + "\n");
}

Page metrics_page(const prometheus::Registry& registry) {
  return {MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
          prometheus::TextSerializer().Serialize(registry.Collect())};
}

Page page_for(const Pages& pages, std::string_view method, std::string_view path) {
  const auto found = pages.find(path);
  if (found == pages.end()) return plain(MHD_HTTP_NOT_FOUND, "no such page\n");
  if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
    return plain(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
  }
  try {
    return found->second();
  } catch (const std::exception& error) {  // called from C, which must not see one
    return plain(MHD_HTTP_INTERNAL_SERVER_ERROR, std::string(error.what()) + "\n");
  }
}

MHD_Result send_page(MHD_Connection* connection, const Page& page) {
  MHD_Response* response = MHD_create_response_from_buffer(
      page.text.size(), const_cast<char*>(page.text.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page.type.c_str());
  const MHD_Result queued = MHD_queue_response(connection, page.status, response);
  MHD_destroy_response(response);
  return queued;
}

// MHD calls once when the head of a request is there, and once more for each piece of its body; a body is
// read away, unseen.
MHD_Result take_request(void* pages, MHD_Connection* connection, const char* path, const char* method,
                        const char* /*version*/, const char* /*body*/, std::size_t* body_size, void** seen) {
  static char marker;
  if (*seen == nullptr) {
    *seen = &marker;
    return MHD_YES;
  }
  if (*body_size != 0) {
    *body_size = 0;
    return MHD_YES;
  }
  return send_page(connection, page_for(*static_cast<const Pages*>(pages), method, path));
}

}  // namespace

class HttpServer::Endpoint {
 public:
  static Result<std::unique_ptr<Endpoint>> start(const BindAddress& address, const std::string& flag,
                                                 Pages pages) {
    auto socket = open_listen_socket(address, flag);
    if (!socket) return fail_as(socket);
    // One pod that opens connections and says nothing must not keep the kubelet out.
    constexpr unsigned kMostConnections = 256;
    constexpr unsigned kMostOfOneAddress = 16;
    constexpr unsigned kIdleLimit_s = 10;
    std::unique_ptr<Endpoint> made(new Endpoint(socket->port, std::move(pages)));
    made->daemon_ =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr, nullptr, &take_request, &made->pages_,
                         MHD_OPTION_LISTEN_SOCKET, socket->descriptor, MHD_OPTION_CONNECTION_LIMIT,
                         kMostConnections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, kMostOfOneAddress,
                         MHD_OPTION_CONNECTION_TIMEOUT, kIdleLimit_s, MHD_OPTION_END);
    if (made->daemon_ == nullptr) {
      close(socket->descriptor);
      return fail(ErrorCode::internal, flag + ": the HTTP server does not start on " + address.to_string());
    }
    return made;
  }
  ~Endpoint() {
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);  // closes the socket
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  Endpoint(std::uint16_t port, Pages pages) : port_(port), pages_(std::move(pages)) {}
  std::uint16_t port_;
  Pages pages_;
  MHD_Daemon* daemon_ = nullptr;
};

HttpServer::HttpServer() = default;
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options, const HealthState& health,
                                                      std::shared_ptr<prometheus::Registry> registry) {
  std::unique_ptr<HttpServer> server(new HttpServer());
  if (!options.metrics.off) {
    auto endpoint = Endpoint::start(options.metrics, "--metrics-bind-addr",
                                    {{"/metrics", [registry, before = options.before_metrics] {
                                        if (before) before();
                                        return metrics_page(*registry);
                                      }}});
    if (!endpoint) return fail_as(endpoint);
    server->metrics_ = std::move(*endpoint);
  }
  if (!options.health.off) {
    auto endpoint =
        Endpoint::start(options.health, "--health-probe-bind-addr",
                        {{"/healthz", [&health] { return health_page(health.alive(EventLoop::now())); }},
                         {"/readyz", [&health] { return health_page(health.ready(EventLoop::now())); }}});
    if (!endpoint) return fail_as(endpoint);
    server->health_ = std::move(*endpoint);
  }
  return server;
}

std::uint16_t HttpServer::metrics_port() const { return metrics_ == nullptr ? 0 : metrics_->port(); }
std::uint16_t HttpServer::health_port() const { return health_ == nullptr ? 0 : health_->port(); }

}  // namespace postern::agent
