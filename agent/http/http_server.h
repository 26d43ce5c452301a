// SPDX-License-Identifier: Apache-2.0
// The agent's two doors for HTTP: /metrics on one address, /healthz and /readyz on the other, each with a
// thread of its own, so that neither a slow reader of metrics nor a busy loop keeps a probe waiting.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/http/health_state.h"
#include "agent/settings/bind_address.h"
#include "engine/base/result.h"

namespace prometheus {
class Registry;
}

namespace postern::agent {

struct HttpOptions {
  BindAddress metrics;  // --metrics-bind-addr
  BindAddress health;   // --health-probe-bind-addr
  // Called before each page of metrics, on the thread that serves it: brings the registry up to date.
  std::function<void()> before_metrics{};
};

class HttpServer {
 public:
  // The state outlives the server; the registry may be added to at any time. Errors: those of
  // open_listen_socket(), and internal.
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options, const HealthState& health,
                                                   std::shared_ptr<prometheus::Registry> registry);
  ~HttpServer();  // after it nobody reads state or registry
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // What the kernel gave; 0 where an endpoint is off.
  [[nodiscard]] std::uint16_t metrics_port() const;
  [[nodiscard]] std::uint16_t health_port() const;

 private:
  class Endpoint;
  HttpServer();
  std::unique_ptr<Endpoint> metrics_;
  std::unique_ptr<Endpoint> health_;
};

}  // namespace postern::agent
