// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_agent.h"

#include <algorithm>
#include <utility>

#include "agent/log/log.h"
#include "engine/policy/policy_warnings.h"

namespace postern::agent {
namespace {

// Changes come in bursts. They are waited for this long after the last of them...
constexpr Duration kSettle = milliseconds(5);
// ...but not longer than this after the first.
constexpr Duration kLongestWait = milliseconds(100);
constexpr Duration kFirstBackOff = milliseconds(200);
constexpr Duration kLongestBackOff = seconds(30);
// A pod without an interface is looked for this often, also when nothing has told of a change.
constexpr Duration kLookAgain = seconds(2);

// "; also behind veth8 (9), enforced too", empty where there is none.
std::string further_of(const LocalPod& pod) {
  std::string text;
  for (const auto& further : pod.further) {
    text += (text.empty() ? "; also behind " : ", ") + further.interface.name + " (" +
            std::to_string(further.interface.ifindex) + ")";
  }
  if (text.empty()) return text;
  return text + (pod.further.front().endpoint.value != 0 ? ", enforced too"
                                                         : ", not enforced (--enforce-interfaces primary)");
}

// Slices of one policy share its reference.
std::size_t policies_of(const std::map<NamespacedName, PolicyEndpoint>& slices) {
  std::set<NamespacedName> policies;
  for (const auto& slice : slices) policies.insert(slice.second.policy);
  return policies.size();
}

std::string addresses_of(const LocalPod& pod) {
  std::string text;
  for (const auto& address : pod.addresses) text += (text.empty() ? "" : ", ") + address.to_string();
  return text;
}

}  // namespace

NodeAgent::NodeAgent(EventLoop& loop, HostView& host, PolicySource& source, NodeEnforcer& enforcer,
                     NodeAgentOptions options)
    : loop_(loop),
      host_(host),
      source_(source),
      enforcer_(enforcer),
      options_(std::move(options)),
      pods_(options_.node_name, options_.any_node, options_.locate) {
  if (options_.all_interfaces) pods_.enforce_all_interfaces();
  pods_.inherit(enforcer_.backend().inheritance());
}

NodeAgent::~NodeAgent() { loop_.cancel(planned_); }

Result<void> NodeAgent::start() { return source_.start(*this); }

void NodeAgent::network_changed() { plan(); }

void NodeAgent::source_error(const std::string& text) {
  log_error("{}", text);
  if (told_) told_();
}

void NodeAgent::source_warning(const std::string& text) {
  log_warn("{}", text);
  if (told_) told_();
}

void NodeAgent::source_notice(const std::string& text) {
  log_info("{}", text);
  if (told_) told_();
}

// After a failure the back-off holds only for what has failed; what happens anew is tried soon.
void NodeAgent::plan() {
  if (!source_.synced()) return;
  const Instant now = EventLoop::now();
  if (!status_.pending) first_change_ = now;
  if (!changed_since_) changed_since_ = now;
  status_.pending = true;
  const Instant when = std::min(now + kSettle, std::max(now, first_change_ + kLongestWait));
  loop_.cancel(planned_);
  planned_ = loop_.at(when, [this] { reconcile(); });
}

void NodeAgent::reconcile() {
  planned_ = 0;
  status_.pending = false;
  ++status_.reconciles;
  pods_.update(source_.cluster(), host_.picture());
  tell_of_pods();
  const auto done = bring_into_force();
  for (const auto& note : enforcer_.backend().take_notes()) log_info("{}", note);
  for (const auto& note : enforcer_.take_notes()) log_info("{}", note);
  if (!done) {
    note_failure(done.error());
  } else {
    if (!status_.failure.empty()) log_info("policy is in force again");
    status_.failure.clear();
    back_off_ = {};
    if (!status_.ready) {
      log_info("in force: {} policies, {} pods of this node", status_.policies, in_force_.size());
    }
    status_.ready = true;
    const auto since = std::exchange(changed_since_, std::nullopt);
    if (options_.in_force) {
      options_.in_force(since ? std::optional(EventLoop::now() - *since) : std::nullopt);
    }
    const bool lost = std::any_of(pods_.pods().begin(), pods_.pods().end(),
                                  [](const auto& pod) { return !pod.second.interface; });
    if (lost && planned_ == 0) {
      host_.look_again(pods_.unheard());
      // Where that has found something, another attempt is planned already.
      if (planned_ == 0) planned_ = loop_.after(kLookAgain, [this] { reconcile(); });
    }
  }
  answer_waiting();
  if (told_) told_();
}

Result<void> NodeAgent::bring_into_force() {
  const auto endpoints = pods_.endpoints();
  const auto own = host_.picture().own_addresses();
  const std::vector<IpAddress> own_addresses(own.begin(), own.end());
  const ClusterSnapshot& cluster = source_.cluster();
  if (auto done = enforcer_.reconcile(cluster, endpoints, own_addresses); !done) return done;
  status_.policies = cluster.network_policies.size() + cluster.cluster_network_policies.size() +
                     policies_of(cluster.policy_endpoints);
  in_force_.clear();
  for (const auto& endpoint : endpoints) in_force_.insert(endpoint.pod);
  tell_of_services();
  tell_of_policies();
  take_over_new();
  return {};
}

// Another agent's program goes only where ours stands. What fails is said and tried with the next change:
// both programs judge meanwhile, and a packet has to pass both.
void NodeAgent::take_over_new() {
  if (!options_.after_attach) return;
  std::map<std::uint32_t, EndpointId> now;
  for (const auto& endpoint : pods_.endpoints()) {
    const auto before = taken_over_.find(endpoint.ifindex);
    if (before == taken_over_.end() || before->second != endpoint.endpoint) {
      if (auto done = options_.after_attach(endpoint.ifindex, endpoint.pod); !done) {
        log_warn("taking over {} from the agent before: {}", endpoint.pod.to_string(), done.error().to_string());
        continue;
      }
    }
    now.emplace(endpoint.ifindex, endpoint.endpoint);
  }
  taken_over_ = std::move(now);
}

void NodeAgent::note_failure(const Error& error) {
  const std::string text = error.to_string();
  ++status_.failures;
  if (status_.failure.empty()) status_.failing_since = EventLoop::now();
  // The same again is news only as long as it takes an operator to see it.
  if (status_.failure != text) {
    log_error("policy cannot be put in force: {}; the last complete policy stays in force, trying again", text);
  } else {
    log_debug("policy cannot be put in force: {}", text);
  }
  status_.failure = text;
  back_off_ = back_off_.ns == 0 ? kFirstBackOff : std::min(kLongestBackOff, back_off_ + back_off_);
  status_.pending = true;
  first_change_ = EventLoop::now();
  planned_ = loop_.after(back_off_, [this] { reconcile(); });
}

// Once for each thing that is worth saying of a pod.
void NodeAgent::tell_of_pods() {
  std::map<NamespacedName, std::string> now;
  for (const auto& [key, pod] : pods_.pods()) {
    const std::string place = pod.interface ? pod.interface->name : "";
    const bool found = pod.match.outcome == LocateOutcome::found;
    const std::string text = place + (found ? further_of(pod) : ": " + pod.match.words);
    const auto before = said_.find(key);
    if (before == said_.end() || before->second != text) {
      if (found) {
        log_info("pod {} ({}) is behind {}: {}{}", key.to_string(), addresses_of(pod), place, pod.match.words,
                 further_of(pod));
      } else if (pod.interface) {
        log_warn("pod {} ({}) stays behind {}, although: {}", key.to_string(), addresses_of(pod), place,
                 pod.match.words);
      } else if (!options_.any_node) {
        log_warn("pod {} ({}) is not enforced, its interface is not known: {}", key.to_string(),
                 addresses_of(pod), pod.match.words);
      }
    }
    now.emplace(key, text);
  }
  said_ = std::move(now);
}

// R7: what a Service whose backends disagree comes to is hardly what anybody meant.
void NodeAgent::tell_of_services() {
  for (const auto& one : enforcer_.backends_differ()) {
    if (std::find(differing_.begin(), differing_.end(), one) != differing_.end()) continue;
    log_warn("Service {} at {}, {} {}: policy allows some of its backends and not others to {} pods of this node, "
             "which are denied it",
             one.service.to_string(), one.address.to_string(), to_string(one.protocol), one.port,
             one.endpoints.size());
  }
  differing_ = enforcer_.backends_differ();
}

// What objects say that probably nobody means or nobody enforces, each once. Policies of the whole cluster are looked
// at when they have changed, and of this node's pods alone: each pair of policies looks at every pod.
void NodeAgent::tell_of_policies() {
  const ClusterSnapshot& all = source_.cluster();
  if (all.cluster_network_policies != told_of_) {
    told_of_ = all.cluster_network_policies;
    ClusterSnapshot here;
    here.cluster_network_policies = told_of_;
    here.namespaces = all.namespaces;
    for (const auto& [key, unused] : pods_.pods()) {
      if (const auto pod = all.pods.find(key); pod != all.pods.end()) here.pods.insert(*pod);
    }
    cluster_warnings_ = cluster_policy_warnings(here);
  }
  std::set<std::string> warnings(cluster_warnings_.begin(), cluster_warnings_.end());
  for (auto& warning : annotation_warnings(all)) warnings.insert(std::move(warning));
  for (const auto& warning : warnings) {
    if (!policy_warnings_.contains(warning)) log_warn("{}", warning);
  }
  policy_warnings_ = std::move(warnings);
}

bool NodeAgent::in_force(const NamespacedName& pod) const {
  return status_.ready && status_.failure.empty() && !status_.pending && in_force_.contains(pod);
}

NodeAgent::Ticket NodeAgent::announce(const NamespacedName& pod, Done done) {
  const Ticket ticket = next_ticket_++;
  pods_.announce(pod);
  waiting_.push_back({ticket, pod, std::move(done)});
  plan();
  return ticket;
}

void NodeAgent::cancel(Ticket ticket) {
  waiting_.remove_if([&](const Waiting& waiting) { return waiting.ticket == ticket; });
}

void NodeAgent::withdraw(const NamespacedName& pod) {
  pods_.withdraw(pod);
  waiting_.remove_if([&](const Waiting& waiting) { return waiting.pod == pod; });
}

void NodeAgent::answer_waiting() {
  std::list<Waiting> ready;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto next = std::next(it);
    if (in_force(it->pod)) ready.splice(ready.end(), waiting_, it);
    it = next;
  }
  for (auto& waiting : ready) waiting.done({});
}

std::string NodeAgent::waits_for(const NamespacedName& pod) const {
  if (!source_.synced()) {
    for (const auto& status : source_.status()) {
      if (status.state == SourceStatus::State::synced || status.state == SourceStatus::State::absent) continue;
      return "the " + std::string(source_.name()) + " source has not read " + status.resource + " yet" +
             (status.detail.empty() ? "" : " (" + status.detail + ")");
    }
    return "the " + std::string(source_.name()) + " source has not read everything yet";
  }
  if (!status_.failure.empty()) return "policy cannot be put in force: " + status_.failure;
  const auto known = pods_.pods().find(pod);
  if (known == pods_.pods().end()) {
    return source_.cluster().pods.contains(pod) ? "the pod has no address yet, and no interface of its name is routed to"
                                                : "the pod is not known to the " + std::string(source_.name()) +
                                                      " source yet";
  }
  if (!known->second.interface) return "its interface is not known: " + known->second.match.words;
  return "the policy is being written";
}

}  // namespace postern::agent
