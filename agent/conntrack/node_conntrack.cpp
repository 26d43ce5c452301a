// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/node_conntrack.h"

#include <utility>

#include "engine/conntrack/conntrack_view.h"
#include "net/conntrack_dump.h"

namespace postern::agent {
namespace {

pn_tuple abi_tuple(const TrackedTuple& tuple) {
  return {.source = to_abi(tuple.source),
          .destination = to_abi(tuple.destination),
          .source_port = tuple.source_port,
          .destination_port = tuple.destination_port,
          .protocol = tuple.protocol};
}

class CtnetlinkDump final : public NodeConntrack {
 public:
  // A table that fills up drops connections that are alive: what it lacks is no sign then.
  Result<void> begin() override {
    const auto count = nf_conntrack_number("nf_conntrack_count");
    const auto most = nf_conntrack_number("nf_conntrack_max");
    if (count && most && *count >= *most / 10 * 9) {
      return fail(ErrorCode::not_found, "the node's conntrack is nearly full: " + std::to_string(*count) + " of " +
                                            std::to_string(*most));
    }
    return dump_.begin();
  }

  // Both tuples: at a client's interface a connection to a Service has the original one, at its backend's the
  // reply's, and neither needs to be the other turned round.
  Result<bool> step(ListedConnections& into) override {
    auto done = dump_.step([&](const TrackedConnection& connection) {
      for (const auto& tuple : {connection.original, connection.reply}) {
        if (tuple) into.add(abi_tuple(*tuple));
      }
    });
    if (done && *done && into.size() == 0) return fail(ErrorCode::not_found, "the node's conntrack is empty");
    return done;
  }

 private:
  ConntrackDump dump_;
};

}  // namespace

std::unique_ptr<NodeConntrack> make_node_conntrack() { return std::make_unique<CtnetlinkDump>(); }

}  // namespace postern::agent
