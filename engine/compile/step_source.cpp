// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/step_source.h"

#include <algorithm>

namespace postern {

ServiceQuestion question_of(const Content& content, SignatureId signature, const ServiceSignature& service) {
  const auto is_self = [&](const ServiceTarget& target) { return target.endpoint == content.self; };
  const bool meets_itself =
      content.self != 0 && std::any_of(service.begin(), service.end(), [&](const auto& port) {
        return std::any_of(port.targets.begin(), port.targets.end(), is_self);
      });
  return {rules_of(content).id, signature, meets_itself ? content.self : 0};
}

StepSource::PerContent& StepSource::known(const Content& rules) {
  const auto found = known_.find(rules.id);
  if (found != known_.end()) return found->second;
  return known_.try_emplace(rules.id, rules, sources_.bundle_of).first->second;
}

std::uint32_t StepSource::step(const Content& content, SignatureId signature) {
  const Content& rules = rules_of(content);
  // Where packets arrive, no source is a ClusterIP: one would be an address like any other.
  const auto* service =
      content.direction == Direction::egress ? sources_.signatures.service_of(signature) : nullptr;
  const auto of = [&](const Content& asked) -> Answer& {
    if (service == nullptr) return address_answer(known(asked), signature);
    if (!decides(asked)) return open_;
    auto question = question_of(content, signature, *service);
    question.rules = asked.id;
    return service_answer(asked, question, *service);
  };
  Answer& found = of(rules);
  if (rules.enforced == nullptr) {
    if (!found.step) found.step = tables_.step_of(found.folded, aside_);
    return *found.step;
  }
  const Answer& enforced = of(*rules.enforced);
  const auto [known_step, inserted] = with_audit_.try_emplace({&enforced, &found});
  if (inserted) known_step->second = tables_.step_of(with_audit(enforced.folded, found.folded), aside_);
  return known_step->second;
}

StepSource::Answer& StepSource::address_answer(PerContent& content, SignatureId signature) {
  const auto bundles = sources_.signatures.bundles_of(signature);
  const bool own_node = sources_.signatures.has_own_node(signature);
  // Most classes are of no concern to most contents: those answer as to an address in no term.
  if (!own_node && !bundles.empty() && !content.index.names_any(bundles)) {
    return address_answer(content, kEmptySignature);
  }
  const auto answered = content.by_signature.find(signature);
  if (answered != content.by_signature.end()) return *answered->second;

  Answer& found = folded(content, content.index.rules_for(bundles), own_node);
  content.by_signature.emplace(signature, &found);
  return found;
}

// `rules`: places of those that concern the address.
StepSource::Answer& StepSource::folded(PerContent& content, std::vector<std::uint32_t> rules, bool own_node) {
  auto key = rules;
  key.push_back(own_node ? 1 : 0);
  const auto [found, inserted] = content.by_rules.try_emplace(std::move(key));
  if (inserted) found->second.folded = fold(content.rules, rules, own_node);
  return found->second;
}

// As to an address that no rule names, but for rules that name ClusterIPs and for the ports of the
// Service.
StepSource::Answer& StepSource::service_answer(const Content& content, const ServiceQuestion& question,
                                               const ServiceSignature& service) {
  const auto [found, inserted] = services_.try_emplace(question);
  if (!inserted) return found->second;
  PerContent& rules = known(content);
  const auto rule_at = [&](std::uint32_t place) -> const ResolvedRule& { return rules.rules.rules[place]; };
  auto concerned = rules.index.rules_for(sources_.signatures.bundles_of(question.signature));
  std::erase_if(concerned, [&](auto at) { return !rule_at(at).any_peer && !rule_at(at).names_cluster_ips; });
  auto naming = concerned;
  std::erase_if(naming, [&](auto at) { return !rule_at(at).names_cluster_ips; });
  const Folded* by_address = naming.empty() ? nullptr : &folded(rules, std::move(naming), false).folded;

  Folded answers = folded(rules, std::move(concerned), false).folded;
  std::vector<std::pair<Protocol, std::uint16_t>> differing;
  for (const auto& port : service) {
    const auto found_list = std::find(kPortProtocols.begin(), kPortProtocols.end(), port.protocol);
    if (found_list == kPortProtocols.end()) continue;
    const auto list = static_cast<std::size_t>(found_list - kPortProtocols.begin());
    PortQuestion asked{port, question.self, std::nullopt};
    if (by_address != nullptr) {
      const std::uint32_t named = step_at(by_address->ports[list], port.port);
      if (pn_step_reason(named) == PN_REASON_RULE) asked.by_address = named;
      asked.nobody_allowed = pn_step_reason(step_at(answers.ports[list], port.port)) == PN_REASON_RULE;
    }
    const std::uint32_t step = outcome(rules, asked);
    if (pn_step_reason(step) == PN_REASON_BACKENDS_DIFFER) differing.emplace_back(port.protocol, port.port);
    set_port(answers.ports[list], port.port, step);
  }
  if (!differing.empty()) differing_[question] = std::move(differing);
  found->second.folded = std::move(answers);
  return found->second;
}

// Of several true reasons the smallest step is given, whatever the order of the backends. A rule that
// names the ClusterIP admits what NetworkPolicies deny to a backend, and nothing that another tier denies.
std::uint32_t StepSource::outcome(PerContent& content, const PortQuestion& question) {
  const ServicePortTargets& port = question.port;
  std::optional<std::uint32_t> allowing;
  std::optional<std::uint32_t> denying;
  const auto list = static_cast<std::size_t>(
      std::find(kPortProtocols.begin(), kPortProtocols.end(), port.protocol) - kPortProtocols.begin());
  for (const auto& target : port.targets) {
    const bool is_self = question.self != 0 && target.endpoint == question.self;
    std::uint32_t step = is_self ? pn_step_allow(PN_REASON_SELF, 0)
                                 : step_at(address_answer(content, target.backend).folded.ports[list], target.port);
    if (question.by_address && pn_step_reason(step) == PN_REASON_ISOLATED) step = *question.by_address;
    auto& side = pn_step_allows(step) ? allowing : denying;
    side = side ? std::min(*side, step) : step;
  }
  if (allowing && denying) return pn_step_deny(PN_REASON_BACKENDS_DIFFER, 0);
  if (allowing) return *allowing;
  if (denying) return *denying;
  return question.by_address && question.nobody_allowed ? *question.by_address
                                                        : pn_step_deny(PN_REASON_NO_BACKEND, 0);
}

}  // namespace postern
