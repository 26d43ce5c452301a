// SPDX-License-Identifier: Apache-2.0
// Answers "what does this content say to this signature" as a step, folding each distinct list of
// rules once per update.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "engine/compile/rule_index.h"
#include "engine/compile/step_tables.h"

namespace postern {

class StepSource {
 public:
  // Bodies that a step leads to are written to `aside`, which comes before anything that holds the step.
  StepSource(const SignaturePool& signatures, const BundleOfTerm& bundle_of, StepTables& tables,
             DeltaWriter& aside)
      : signatures_(signatures), bundle_of_(bundle_of), tables_(tables), aside_(aside) {}

  // Every term of the content must be in use.
  std::uint32_t step(const Content& content, SignatureId signature);

 private:
  struct PerContent {
    PerContent(const Content& content, const BundleOfTerm& bundle_of) : index(content, bundle_of) {}
    RuleIndex index;
    std::unordered_map<SignatureId, std::uint32_t> by_signature;
    std::map<std::vector<std::uint32_t>, std::uint32_t> by_rules;  // the last element tells own node
  };
  std::uint32_t step_of(const Content& content, SignatureId signature, PerContent& known);

  const SignaturePool& signatures_;
  const BundleOfTerm& bundle_of_;
  StepTables& tables_;
  DeltaWriter& aside_;
  std::unordered_map<ContentId, PerContent> known_;
};

}  // namespace postern
