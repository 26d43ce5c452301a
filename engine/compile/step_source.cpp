// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/step_source.h"

namespace postern {

std::uint32_t StepSource::step(const Content& content, SignatureId signature) {
  const auto found = known_.find(content.id);
  if (found != known_.end()) return step_of(content, signature, found->second);
  return step_of(content, signature, known_.try_emplace(content.id, content, bundle_of_).first->second);
}

std::uint32_t StepSource::step_of(const Content& content, SignatureId signature, PerContent& known) {
  const auto bundles = signatures_.bundles_of(signature);
  const bool own_node = signatures_.has_own_node(signature);
  // Most classes are of no concern to most contents: those answer as to an address in no term.
  if (!own_node && !bundles.empty() && !known.index.names_any(bundles)) {
    return step_of(content, kEmptySignature, known);
  }
  const auto answered = known.by_signature.find(signature);
  if (answered != known.by_signature.end()) return answered->second;

  const auto rules = known.index.rules_for(bundles);
  auto key = rules;
  key.push_back(own_node ? 1 : 0);
  const auto [found, inserted] = known.by_rules.try_emplace(std::move(key));
  if (inserted) found->second = tables_.step_of(fold(content, rules, own_node), aside_);
  known.by_signature.emplace(signature, found->second);
  return found->second;
}

}  // namespace postern
