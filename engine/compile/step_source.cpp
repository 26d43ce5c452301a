// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/step_source.h"

namespace postern {

std::uint32_t StepSource::step(const Content& content, SignatureId signature) {
  const auto terms = signatures_.terms_of(signature);
  const bool own_node = signatures_.has_own_node(signature);
  // Most classes are of no concern to most contents: those answer as to an address in no term.
  if (!own_node && signature != kEmptySignature && !content.names_any(terms))
    return step(content, kEmptySignature);
  PerContent& known = known_[content.id];
  const auto found = known.by_signature.find(signature);
  if (found != known.by_signature.end()) return found->second;
  const std::uint32_t step = fold_step(content, terms, own_node, known);
  known.by_signature.emplace(signature, step);
  return step;
}

std::uint32_t StepSource::fold_step(const Content& content, std::span<const TermId> terms, bool own_node,
                                    PerContent& known) {
  const auto rules = content.rules_for(terms);
  auto key = rules;
  key.push_back(own_node ? 1 : 0);
  const auto [found, inserted] = known.by_rules.try_emplace(std::move(key));
  if (inserted) found->second = tables_.step_of(fold(content, rules, own_node), aside_);
  return found->second;
}

}  // namespace postern
