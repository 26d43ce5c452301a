// SPDX-License-Identifier: Apache-2.0
// Answers "what does this content say to this signature" as a step, folding each distinct list of
// rules once per update.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "engine/compile/content.h"
#include "engine/compile/step_tables.h"

namespace postern {

class StepSource {
 public:
  // Bodies that a step leads to are written to `aside`, which comes before anything that holds the step.
  StepSource(const SignaturePool& signatures, StepTables& tables, DeltaWriter& aside)
      : signatures_(signatures), tables_(tables), aside_(aside) {}

  std::uint32_t step(const Content& content, SignatureId signature);

 private:
  struct PerContent {
    std::unordered_map<SignatureId, std::uint32_t> by_signature;
    std::map<std::vector<std::uint32_t>, std::uint32_t> by_rules;  // the last element tells own node
  };
  std::uint32_t fold_step(const Content& content, std::span<const TermId> terms, bool own_node,
                          PerContent& known);

  const SignaturePool& signatures_;
  StepTables& tables_;
  DeltaWriter& aside_;
  std::unordered_map<ContentId, PerContent> known_;
};

}  // namespace postern
