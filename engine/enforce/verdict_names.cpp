// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/verdict_names.h"

namespace postern {

VerdictNames names_of(const NodeEnforcer& enforcer, const SaidOfPod& said) {
  VerdictNames names;
  const bool would_deny = pn_step_reason(said.step) == PN_REASON_WOULD_DENY;
  if (const auto* origin = enforcer.rules().find(RuleId{pn_step_said_rule(said.step)})) names.rule = *origin;
  if (pn_step_said_reason(said.step) != PN_REASON_ISOLATED) return names;
  for (const EndpointPolicy& endpoint : enforcer.policy().endpoints) {
    if (endpoint.pod != said.pod) continue;
    const auto direction = said.direction == PN_INGRESS ? Direction::ingress : Direction::egress;
    const DirectionPolicy& policy = endpoint.at(direction);
    names.isolating = would_deny ? policy.with_audit().isolating : policy.isolating;
  }
  return names;
}

}  // namespace postern
