// SPDX-License-Identifier: Apache-2.0
#include "engine/conntrack/cleanup.h"

#include "engine/datapath/lifetime.h"

namespace postern {

ConnectionFate fate_of(const pn_ct_key& key, const pn_ct_value& value, const CleanupClock& clock,
                       NodeConntrackView node) {
  if (value.state == 0) return ConnectionFate::keep;
  const std::uint32_t protocol = key.endpoint_protocol & 0xffu;
  const std::uint32_t idle = pn_ct_idle(&value, clock.now);
  if (pn_ct_live(clock.node, &value, protocol, clock.now) == 0) {
    const std::uint32_t timeout = pn_ct_timeout(protocol, value.state);
    // A retired entry ended when it was retired, whatever its timeout.
    const std::uint32_t end = idle >= PN_CT_RETIRED_IDLE          ? PN_CT_RETIRED_IDLE
                              : timeout < PN_TIMEOUT_COUNT ? clock.node->timeouts[timeout]
                                                           : 0;
    return idle - end >= kTicksAfterTheEnd ? ConnectionFate::free : ConnectionFate::keep;
  }
  const bool noted = (value.state & PN_CT_NODE_HAD) != 0;
  switch (node) {
    case NodeConntrackView::not_asked: return ConnectionFate::keep;
    case NodeConntrackView::has_it: return noted ? ConnectionFate::keep : ConnectionFate::note;
    case NodeConntrackView::lacks_it: break;
  }
  // At least one tick, so that the packet of this very moment counts as use.
  const std::uint32_t least = clock.least_idle == 0 ? 1 : clock.least_idle;
  return noted && idle >= least ? ConnectionFate::retire : ConnectionFate::keep;
}

}  // namespace postern
