// SPDX-License-Identifier: Apache-2.0
// What makes connections to a Service arrive at one backend: the kernel's own address translation in
// the namespace that the client's packets come to first, told flow by flow where each one goes. The
// rules stand in one table; the flows are elements of its maps, so a batch of probes is one
// transaction. Everything goes with the namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/base/ip.h"
#include "engine/base/result.h"

struct mnl_socket;
struct nft_ctx;

namespace postern::sim {

// A connection as its client writes it, and where it goes. All addresses are of one family.
struct ServiceFlow {
  std::uint8_t protocol = 0;  // TCP, UDP or SCTP
  IpAddress client;
  std::uint16_t client_port = 0;
  IpAddress service;
  std::uint16_t service_port = 0;
  IpAddress backend;
  std::uint16_t backend_port = 0;
  // The backend is the client itself: it sees this source instead of its own.
  std::optional<IpAddress> own_node;
};

class ServiceNat {
 public:
  // Of the current namespace; nothing is set up yet.
  static Result<ServiceNat> open();

  // These flows are translated from now on, and no others. Connections that were translated before
  // stay so. The namespace need not be the current one. Errors: io, with what the kernel said.
  Result<void> translate(std::span<const ServiceFlow> flows);
  // From now on the namespace tracks connections, whether or not a rule needs it, as a node does (R40). A
  // fragment goes by as it is: put together again it would be another packet than the one that is asked about.
  // False: it tracks only what a rule needs.
  Result<void> track(bool always);
  // The namespace knows no connection any more.
  Result<void> forget_connections();
  // Takes the table away, and makes the namespace forget its connections: the next ones may be between
  // the same addresses and ports, and are others all the same.
  Result<void> clear();

 private:
  struct Close {
    void operator()(nft_ctx* context) const;
    void operator()(mnl_socket* socket) const;
  };
  Result<void> run(const std::string& commands);

  std::unique_ptr<nft_ctx, Close> context_;
  std::unique_ptr<mnl_socket, Close> tracking_;
  bool has_table_ = false;
  bool tracks_ = false;
};

}  // namespace postern::sim
