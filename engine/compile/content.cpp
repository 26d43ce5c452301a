// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/content.h"

#include <algorithm>

namespace postern {

namespace {

void append_rule(const ResolvedRule& rule, std::vector<std::uint32_t>& key) {
  key.push_back(static_cast<std::uint32_t>(rule.tier) | static_cast<std::uint32_t>(rule.action) << 8 |
                static_cast<std::uint32_t>(rule.any_peer) << 16 |
                static_cast<std::uint32_t>(rule.any_port) << 17 |
                static_cast<std::uint32_t>(rule.names_cluster_ips) << 18);
  key.push_back(rule.priority);
  key.push_back(rule.policy);
  key.push_back(rule.order);
  key.push_back(rule.id.value);
  key.push_back(static_cast<std::uint32_t>(rule.peers.size()));
  key.insert(key.end(), rule.peers.begin(), rule.peers.end());
  key.push_back(static_cast<std::uint32_t>(rule.ports.size()));
  for (const auto& port : rule.ports) {
    key.push_back(static_cast<std::uint32_t>(port.protocol));
    key.push_back(static_cast<std::uint32_t>(port.range.lo) << 16 | port.range.hi);
  }
}

ResolvedRule with_term_ids(const ResolvedRule& rule, const std::vector<TermId>& terms) {
  ResolvedRule out = rule;
  for (auto& peer : out.peers) peer = terms[peer];
  std::sort(out.peers.begin(), out.peers.end());
  std::sort(out.ports.begin(), out.ports.end());
  return out;
}

}  // namespace

std::shared_ptr<const Content> ContentPool::intern(const DirectionPolicy& policy, Direction direction,
                                                   const std::vector<TermId>& terms) {
  if (!policy.judged()) return nullptr;
  Content content;
  content.direction = direction;
  if (policy.if_enforced) content.enforced = intern(policy, terms, content);
  return intern(policy.with_audit(), terms, std::move(content));
}

// `content`: what is not among the rules.
std::shared_ptr<const Content> ContentPool::intern(const DirectionRules& rules, const std::vector<TermId>& terms,
                                                   Content content) {
  content.isolated = rules.isolated;
  content.strict = rules.strict;
  Key key{static_cast<std::uint32_t>(content.direction) | static_cast<std::uint32_t>(rules.isolated) << 1 |
              static_cast<std::uint32_t>(rules.strict) << 2,
          content.enforced ? content.enforced->id : kNoContent};
  for (const auto& rule : rules.rules) {
    content.rules.push_back(with_term_ids(rule, terms));
    append_rule(content.rules.back(), key);
  }
  const auto [found, inserted] = contents_.try_emplace(std::move(key));
  if (inserted) {
    content.id = next_++;
    found->second = std::make_shared<const Content>(std::move(content));
  }
  return found->second;
}

std::shared_ptr<const Content> ContentPool::for_backend(const std::shared_ptr<const Content>& base,
                                                        std::uint32_t self) {
  auto& known = for_backends_[{base->id, self}];
  if (!known) {
    Content content;
    content.id = next_++;
    content.direction = base->direction;
    content.self = self;
    content.base = base;
    known = std::make_shared<const Content>(std::move(content));
  }
  return known;
}

void ContentPool::keep_only(const std::set<ContentId>& used) {
  std::set<ContentId> kept = used;
  std::erase_if(for_backends_, [&](const auto& entry) {
    if (!used.contains(entry.second->id)) return true;
    kept.insert(entry.second->base->id);
    return false;
  });
  for (const auto& [key, content] : contents_) {
    if (content->enforced && kept.contains(content->id)) kept.insert(content->enforced->id);
  }
  std::erase_if(contents_, [&](const auto& entry) { return !kept.contains(entry.second->id); });
}

}  // namespace postern
