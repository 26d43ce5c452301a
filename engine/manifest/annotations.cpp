// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/annotations.h"

#include <algorithm>
#include <array>
#include <optional>

namespace postern::manifest {

namespace {

constexpr std::string_view kPrefix = "postern.dev/";
constexpr std::string_view kAudit = "postern.dev/audit";
constexpr std::string_view kEnforcement = "postern.dev/enforcement";
constexpr std::array<std::string_view, 2> kEnforcementOf{"postern.dev/enforcement-ingress",
                                                         "postern.dev/enforcement-egress"};  // by Direction

constexpr std::array<std::string_view, 5> kKinds{"Namespace", "NetworkPolicy", "ClusterNetworkPolicy",
                                                 "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"};

struct Annotation {
  const Value& key;
  const Value& value;
};

std::vector<Annotation> ours(const Value& object) {
  std::vector<Annotation> found;
  const Value* metadata = object.find("metadata");
  const Value* mapping = metadata == nullptr ? nullptr : metadata->find("annotations");
  for (std::size_t i = 0; mapping != nullptr && mapping->kind == Kind::mapping && i < mapping->size(); ++i) {
    const bool prefixed = std::string_view(mapping->key(i).text).substr(0, kPrefix.size()) == kPrefix;
    if (prefixed) found.push_back({mapping->key(i), mapping->member(i)});
  }
  return found;
}

std::string sentence(const Annotation& annotation, std::string_view expected) {
  return "annotation " + annotation.key.text + ": found " + describe(annotation.value) + ", expected " +
         std::string(expected);
}

// A key that is not among `known`.
void unknown_key(const Report& report, const Annotation& annotation, std::string_view known,
                 std::vector<std::string>& remarks) {
  const std::string text = "annotation " + annotation.key.text + ": found a key without a meaning here, expected " +
                           std::string(known);
  if (!report.live) return report.error(annotation.key, text);
  remarks.push_back(text + "; it is ignored");
}

bool audit_of(const Annotation& annotation, std::vector<std::string>& remarks) {
  if (annotation.value.text == "true") return true;
  if (annotation.value.text != "false") {
    remarks.push_back(sentence(annotation, "\"true\" or \"false\"") + "; it is enforced, not in audit");
  }
  return false;
}

Enforcement enforcement_of(const Annotation& annotation, std::vector<std::string>& remarks) {
  if (annotation.value.text == "standard") return Enforcement::standard;
  if (annotation.value.text != "strict") {
    remarks.push_back(sentence(annotation, "\"standard\" or \"strict\"") + "; it is strict");
  }
  return Enforcement::strict;
}

}  // namespace

bool takes_annotations(std::string_view kind) {
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

void expect_no_annotations(const Report& report, const Value& object) {
  if (report.live) return;
  for (const auto& annotation : ours(object)) {
    report.error(annotation.key, "annotation " + annotation.key.text +
                                     ": found it on an object that it says nothing of, expected it on a Namespace or a "
                                     "policy");
  }
}

void read_namespace_annotations(const Report& report, const Value& object, Namespace& ns) {
  std::optional<Enforcement> both;
  for (const auto& annotation : ours(object)) {
    const auto direction = std::find(kEnforcementOf.begin(), kEnforcementOf.end(), annotation.key.text);
    if (annotation.key.text == kAudit) {
      ns.audit = audit_of(annotation, ns.remarks);
    } else if (annotation.key.text == kEnforcement) {
      both = enforcement_of(annotation, ns.remarks);
    } else if (direction != kEnforcementOf.end()) {
      const auto index = static_cast<std::size_t>(direction - kEnforcementOf.begin());
      ns.enforcement[index] = enforcement_of(annotation, ns.remarks);
    } else {
      unknown_key(report, annotation, "audit, enforcement, enforcement-ingress or enforcement-egress", ns.remarks);
    }
  }
  for (auto& direction : ns.enforcement) {
    if (!direction) direction = both;
  }
}

bool read_audit(const Report& report, const Value& object, std::vector<std::string>& remarks) {
  bool audit = false;
  for (const auto& annotation : ours(object)) {
    if (annotation.key.text == kAudit) {
      audit = audit_of(annotation, remarks);
    } else {
      unknown_key(report, annotation, "audit", remarks);
    }
  }
  return audit;
}

}  // namespace postern::manifest
