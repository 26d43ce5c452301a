// SPDX-License-Identifier: Apache-2.0
// Probes of one client, made together: every one is sent, then answers and reported drops are taken
// as they come. Packets cross veth pairs inside the sending call, so as a rule everything has
// happened when the last one is sent, and nothing waits. What the wire shows and what the datapath
// reports are compared: an answer although a drop was reported, or neither of the two before the
// deadline, is an error of the rig and never a verdict.
//
// Where a Service is asked, the client's side of the node and the backend's see two different flows.
// One without backends is asked too: that nobody answers is known when the packet is seen to have
// passed the program.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "sim/netns/events.h"
#include "sim/netns/sockets.h"
#include "sim/netns/topology.h"

namespace postern::sim {

class ProbeBatch {
 public:
  ProbeBatch(Topology& topology, const Place& client) : topology_(topology), client_(client) {}

  // The caller is in the client's namespace; all requests come from that client. Outcomes in order.
  Result<std::vector<ProbeOutcome>> run(std::span<const ProbeRequest> requests);

 private:
  enum class Phase : std::uint8_t { connecting, waiting, done };

  struct Pending {
    const ProbeRequest* request = nullptr;
    Place server;
    FlowKey near;  // at the client
    FlowKey far;   // at the server: behind a Service, what the node makes of it
    Phase phase = Phase::waiting;
    bool served = false;     // the server saw it
    UniqueFd client_socket;  // TCP, UDP
    UniqueFd server_socket;  // TCP: the accepted connection
    ProbeOutcome outcome;
  };
  // A socket on which probes arrive, and how many still may.
  struct Arrivals {
    Station* station = nullptr;
    std::size_t awaited = 0;
  };
  using ArrivalMap = std::map<int, Arrivals>;

  Result<void> prepare(const ProbeRequest& request);
  Result<void> open_client(Pending& probe, int type);
  // Through a Service.
  [[nodiscard]] bool reaches_itself(const Pending& probe) const;
  std::uint16_t take_port(const Pending& probe);
  Result<void> set_far_flow(Pending& probe);
  // What no packet of the batch must come too early for.
  Result<void> watch_departures();
  Result<void> translate_services();
  Result<void> start(Pending& probe);
  Result<void> start_stream(Pending& probe);
  Result<void> start_datagram(Pending& probe);
  Result<void> start_raw(Pending& probe);
  [[nodiscard]] Arrivals* arrivals_of(const Pending& probe);

  Result<void> round();
  Result<void> take_events();
  Result<void> take_drop(Pending& probe, const NodeEvent& event, bool reply);
  Result<void> serve();
  Result<void> accept_streams(int listener, Arrivals& arrivals, bool once);
  Result<void> serve_datagrams(int server, Arrivals& arrivals, bool once);
  Result<void> read_sctp(int socket, Station& station);
  Result<void> read_clients();
  Result<void> read_departures();
  Result<void> read_sctp_answers();
  Result<void> read_echo_replies();
  Result<void> arrived(Pending& probe);
  void answered(Pending& probe);
  void finish(Pending& probe);
  Result<void> look_for_contradictions();
  void wait(int timeout_ms);

  Pending* find(std::uint8_t protocol, std::uint16_t client_port);

  Topology& topology_;
  Place client_;
  std::vector<Pending> probes_;
  std::unordered_map<std::uint32_t, std::size_t> by_port_;  // protocol << 16 | source port
  ArrivalMap listeners_;
  ArrivalMap datagram_servers_;
  ArrivalMap sctp_servers_;
  std::vector<UniqueFd> departures_;  // see what passed the program on the client's interface
  std::vector<NodeEvent> events_;
  std::size_t open_ = 0;
  std::size_t open_sctp_ = 0;
  std::size_t open_icmp_ = 0;
  bool progress_ = false;
};

}  // namespace postern::sim
