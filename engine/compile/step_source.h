// SPDX-License-Identifier: Apache-2.0
// Answers "what does this content say to this signature" as a step, folding each distinct list of
// rules once per update. What a content says to a Service at egress follows from what it says to the
// backends of each port (R7), and from rules that name the ClusterIP itself, where there are any (R46).
// Where something is in audit, two contents are asked and their answers put together (R44).
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/compile/rule_index.h"
#include "engine/compile/step_tables.h"

namespace postern {

// A list of rules asked about a Service, for the endpoint `self` of its backends or for others (0).
struct ServiceQuestion {
  ContentId rules = kNoContent;
  SignatureId signature = kEmptySignature;
  std::uint32_t self = 0;
  friend auto operator<=>(const ServiceQuestion&, const ServiceQuestion&) = default;
};

// The ports at which backends disagree; a question whose backends agree everywhere has no entry. An
// answer holds for as long as content and signature have their numbers.
using DifferingPorts = std::map<ServiceQuestion, std::vector<std::pair<Protocol, std::uint16_t>>>;

// The question that a content asks about a Service.
ServiceQuestion question_of(const Content& content, SignatureId signature, const ServiceSignature& service);

class StepSource {
 public:
  struct Sources {
    const SignaturePool& signatures;
    const BundleOfTerm& bundle_of;
  };
  // Bodies that a step leads to are written to `aside`, which comes before anything that holds the
  // step. Ports at which backends disagree are added to `differing`.
  StepSource(const Sources& sources, StepTables& tables, DeltaWriter& aside, DifferingPorts& differing)
      : sources_(sources), tables_(tables), aside_(aside), differing_(differing) {}

  // Every term of the content must be in use.
  std::uint32_t step(const Content& content, SignatureId signature);

 private:
  struct Answer {
    Folded folded;
    std::optional<std::uint32_t> step;  // once it was asked for
  };
  struct PerContent {
    PerContent(const Content& content, const BundleOfTerm& bundle_of)
        : rules(content), index(content, bundle_of) {}
    const Content& rules;
    RuleIndex index;
    std::unordered_map<SignatureId, Answer*> by_signature;
    std::map<std::vector<std::uint32_t>, Answer> by_rules;  // the last element tells own node
  };

  PerContent& known(const Content& rules);
  Answer& address_answer(PerContent& content, SignatureId signature);
  Answer& service_answer(const Content& rules, const ServiceQuestion& question, const ServiceSignature& service);
  Answer& folded(PerContent& content, std::vector<std::uint32_t> rules, bool own_node);
  // What a Service port is asked for.
  struct PortQuestion {
    const ServicePortTargets& port;
    std::uint32_t self;
    std::optional<std::uint32_t> by_address;  // the allow of a rule that names the ClusterIP
    bool nobody_allowed = false;              // it holds where there is no backend, too
  };
  std::uint32_t outcome(PerContent& content, const PortQuestion& question);

  Sources sources_;
  StepTables& tables_;
  DeltaWriter& aside_;
  DifferingPorts& differing_;
  std::unordered_map<ContentId, PerContent> known_;
  std::map<ServiceQuestion, Answer> services_;
  Answer open_{everywhere(pn_step_allow(PN_REASON_NOT_ISOLATED, 0)), std::nullopt};  // where nothing is enforced
  std::map<std::pair<const Answer*, const Answer*>, std::uint32_t> with_audit_;  // enforced, and with what is in audit
};

}  // namespace postern
