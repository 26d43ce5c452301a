// SPDX-License-Identifier: Apache-2.0
#include "agent/interfaces/locate.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

namespace postern::agent {
namespace {

using Indexes = std::set<std::uint32_t>;

bool is_veth(const Link& link) { return link.kind == "veth"; }

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const auto& part : parts) {
    if (!text.empty()) text += between;
    text += part;
  }
  return text;
}

std::string mac_text(const Mac& mac) {
  std::string text;
  for (const auto byte : mac) {
    char two[4];
    std::snprintf(two, sizeof two, "%s%02x", text.empty() ? "" : ":", byte);
    text += two;
  }
  return text;
}

// The picture by what is looked for in it, so that many pods do not each go through all of it.
struct Index {
  explicit Index(const NetworkPicture& of) : picture(of) {
    for (const auto& [ifindex, link] : of.links) {
      if (!is_veth(link)) continue;
      by_name[link.name].insert(ifindex);
      if (link.netns_id) by_netns[*link.netns_id].insert(ifindex);
    }
    for (const auto& [end, addresses] : of.far_addresses) {
      for (const auto& address : addresses) far[address].push_back(end);
    }
  }
  [[nodiscard]] Indexes veths_into(NetnsId netns_id) const {
    const auto found = by_netns.find(netns_id);
    return found == by_netns.end() ? Indexes() : found->second;
  }

  const NetworkPicture& picture;
  std::map<std::string_view, Indexes> by_name;
  std::map<NetnsId, Indexes> by_netns;
  std::map<IpAddress, std::vector<FarEnd>> far;
};

// Everything that the ways say about one pod.
class Search {
 public:
  Search(const Index& index, const PodAddresses& pod, const LocateOptions& options)
      : index_(index), picture_(index.picture), pod_(pod), options_(options) {}

  InterfaceMatch run() {
    by_netns_id();
    for (const auto& address : pod_.addresses) by_far_address(address);
    for (const auto& address : pod_.addresses) by_route(address);
    by_name();
    // Routes and bridge ports come in turns, address by address.
    std::stable_sort(match_.findings.begin(), match_.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.way < b.way; });
    conclude();
    return std::move(match_);
  }

 private:
  [[nodiscard]] const Link* link(std::uint32_t ifindex) const {
    const auto found = picture_.links.find(ifindex);
    return found == picture_.links.end() ? nullptr : &found->second;
  }
  // "veth1 (7)"
  [[nodiscard]] std::string named(std::uint32_t ifindex) const {
    const Link* const known = link(ifindex);
    return (known != nullptr ? known->name : "interface") + " (" + std::to_string(ifindex) + ")";
  }
  [[nodiscard]] std::string named(const Indexes& ifindexes) const {
    std::vector<std::string> names;
    for (const auto ifindex : ifindexes) names.push_back(named(ifindex));
    return joined(names, ", ");
  }
  void find(Way way, const Indexes& candidates, std::string words) {
    match_.findings.push_back({way, {candidates.begin(), candidates.end()}, std::move(words)});
  }
  void miss(std::string words) { misses_.push_back(std::move(words)); }

  void by_netns_id();
  void by_far_address(const IpAddress& address);
  void by_route(const IpAddress& address);
  void by_bridge(const IpAddress& address, std::uint32_t bridge);
  void by_name();

  void conclude();
  void conclude_found(std::uint32_t ifindex);
  [[nodiscard]] Indexes agreed() const;
  [[nodiscard]] std::string all_words() const;
  [[nodiscard]] std::vector<std::string> strangers_behind(const Link& found) const;

  const Index& index_;
  const NetworkPicture& picture_;
  const PodAddresses& pod_;
  const LocateOptions& options_;
  InterfaceMatch match_;
  std::vector<std::string> misses_;
};

void Search::by_netns_id() {
  if (!pod_.netns_id) return;
  const Indexes found = index_.veths_into(*pod_.netns_id);
  const std::string netns = "netns id " + std::to_string(*pod_.netns_id);
  if (found.empty()) return miss("no veth leads to " + netns);
  find(Way::netns_id, found, netns + " is behind " + named(found));
}

void Search::by_far_address(const IpAddress& address) {
  const auto ends = index_.far.find(address);
  if (ends == index_.far.end()) return;
  Indexes exact;
  Indexes around;  // the address is on another interface of the namespace, as some virtual machines have it
  for (const auto& end : ends->second) {
    for (const auto ifindex : index_.veths_into(end.netns_id)) {
      around.insert(ifindex);
      if (picture_.links.at(ifindex).peer == end.ifindex) exact.insert(ifindex);
    }
  }
  if (!exact.empty()) {
    find(Way::far_address, exact, address.to_string() + " is on the far end of " + named(exact));
  } else if (!around.empty()) {
    find(Way::far_address, around, address.to_string() + " is in the namespace behind " + named(around));
  }
}

// The most specific routes that lead to a veth or to a bridge. A veth has to have a route to the one
// address: a whole network behind a veth is somebody else's node, not a pod.
void Search::by_route(const IpAddress& address) {
  std::string elsewhere;
  for (int length = address.bits(); length >= 0; --length) {
    const Cidr block(address, length);
    const auto routes = picture_.routes.find(block);
    if (routes == picture_.routes.end()) continue;
    Indexes veths;
    Indexes bridges;
    for (const auto& route : routes->second) {
      const Link* const out = link(route.ifindex);
      if (out == nullptr) continue;
      if (is_veth(*out) && length == address.bits()) veths.insert(out->ifindex);
      else if (out->kind == "bridge") bridges.insert(out->ifindex);
      else if (elsewhere.empty()) elsewhere = "; route " + block.to_string() + " leads to " + named(out->ifindex);
    }
    if (!veths.empty()) {
      find(Way::route, veths, "route " + block.to_string() + " leads to " + named(veths));
    }
    for (const auto bridge : bridges) by_bridge(address, bridge);
    if (!veths.empty() || !bridges.empty()) return;
  }
  miss("no route to " + address.to_string() + " leads to a veth or a bridge" + elsewhere);
}

void Search::by_bridge(const IpAddress& address, std::uint32_t bridge) {
  const auto silent = [&](const std::string& what) {
    match_.unheard.push_back(address);
    miss(address.to_string() + " is on bridge " + named(bridge) + ", which " + what);
  };
  const auto neighbours = picture_.neighbours.find(address);
  if (neighbours == picture_.neighbours.end() || !neighbours->second.contains(bridge)) {
    return silent("does not know its MAC");
  }
  const Mac mac = neighbours->second.at(bridge);
  Indexes ports;
  Indexes others;
  if (const auto known = picture_.forwarding.find(mac); known != picture_.forwarding.end()) {
    for (const auto& [vlan, port] : known->second) {
      if (vlan.bridge != bridge) continue;
      const Link* const out = link(port);
      (out != nullptr && is_veth(*out) ? ports : others).insert(port);
    }
  }
  const std::string heard = address.to_string() + " has MAC " + mac_text(mac) + ", heard behind ";
  if (!ports.empty()) return find(Way::bridge_port, ports, heard + named(ports) + " of " + named(bridge));
  if (!others.empty()) return miss(heard + named(others) + ", which is no veth");
  silent("has not heard its MAC " + mac_text(mac));
}

void Search::by_name() {
  Indexes found;
  std::vector<std::string> names;
  for (const auto& name_template : options_.names) {
    const auto name = name_template.name_of(pod_.key);
    if (!name) continue;
    names.push_back(*name);
    if (const auto known = index_.by_name.find(*name); known != index_.by_name.end()) {
      found.insert(known->second.begin(), known->second.end());
    }
  }
  if (!found.empty()) return find(Way::name, found, "its name makes " + named(found));
  if (!names.empty()) miss("no veth is named " + joined(names, ", "));
}

// What every way would accept.
Indexes Search::agreed() const {
  Indexes common(match_.findings.front().candidates.begin(), match_.findings.front().candidates.end());
  for (const auto& finding : match_.findings) {
    Indexes both;
    std::set_intersection(common.begin(), common.end(), finding.candidates.begin(), finding.candidates.end(),
                          std::inserter(both, both.end()));
    common = std::move(both);
  }
  return common;
}

std::string Search::all_words() const {
  std::vector<std::string> words;
  for (const auto& finding : match_.findings) words.push_back(finding.words);
  return joined(words, "; ");
}

void Search::conclude() {
  if (match_.findings.empty()) {
    if (pod_.addresses.empty()) miss("it has no address yet");
    match_.words = "no interface found yet: " + joined(misses_, "; ");
    return;
  }
  const Indexes common = agreed();
  if (common.size() == 1) return conclude_found(*common.begin());
  match_.outcome = common.empty() ? LocateOutcome::disagreement : LocateOutcome::ambiguous;
  match_.words = common.empty() ? "ways to find its interface disagree: " + all_words()
                                : "its interface may be any of " + named(common) + ": " + all_words();
}

// Addresses on the far end of an interface, of the families that the pod has. Asked when none is the pod's.
std::vector<std::string> Search::strangers_behind(const Link& found) const {
  std::vector<std::string> strangers;
  if (!found.netns_id) return strangers;
  const auto end = picture_.far_addresses.find({*found.netns_id, found.peer});
  if (end == picture_.far_addresses.end()) return strangers;
  for (const auto& address : end->second) {
    if (std::any_of(pod_.addresses.begin(), pod_.addresses.end(),
                    [&address](const IpAddress& own) { return own.family() == address.family(); })) {
      strangers.push_back(address.to_string());
    }
  }
  return strangers;
}

void Search::conclude_found(std::uint32_t ifindex) {
  const Link& found = picture_.links.at(ifindex);
  const bool seen_there = std::any_of(match_.findings.begin(), match_.findings.end(),
                                      [](const Finding& f) { return f.way == Way::far_address; });
  if (!seen_there) {
    if (const auto strangers = strangers_behind(found); !strangers.empty()) {
      match_.outcome = LocateOutcome::disagreement;
      match_.words = "ways to find its interface disagree: " + all_words() + "; the far end of " +
                     named(ifindex) + " has " + joined(strangers, ", ");
      return;
    }
  }
  match_.outcome = LocateOutcome::found;
  match_.interface = InterfaceIdentity{ifindex, found.incarnation, found.name, found.peer, found.netns_id};
  if (found.netns_id) {
    for (const auto other : index_.veths_into(*found.netns_id)) {
      if (other != ifindex) match_.further.push_back(other);
    }
  }
  std::vector<std::string> ways;
  for (const auto way : match_.ways()) ways.emplace_back(to_string(way));
  match_.words = named(ifindex) + " by " + joined(ways, ", ");
}

void disagree(InterfaceMatch& match, const NamespacedName& other) {
  match.words = match.words + ", which is also where " + other.to_string() + " is found";
  match.outcome = LocateOutcome::disagreement;
  match.interface.reset();
  match.further.clear();
}

}  // namespace

std::set<IpAddress> NetworkPicture::own_addresses() const {
  std::set<IpAddress> all;
  for (const auto& [ifindex, own] : addresses) all.insert(own.begin(), own.end());
  return all;
}

std::string_view to_string(Way way) {
  switch (way) {
    case Way::netns_id: return "netns id";
    case Way::far_address: return "address";
    case Way::route: return "route";
    case Way::bridge_port: return "bridge port";
    case Way::name: return "name";
  }
  return "?";
}

std::vector<Way> InterfaceMatch::ways() const {
  std::vector<Way> distinct;
  for (const auto& finding : findings) {
    if (distinct.empty() || distinct.back() != finding.way) distinct.push_back(finding.way);
  }
  return distinct;
}

InterfaceMatch locate(const NetworkPicture& picture, const PodAddresses& pod, const LocateOptions& options) {
  return Search(Index(picture), pod, options).run();
}

std::map<NamespacedName, InterfaceMatch> locate_all(const NetworkPicture& picture,
                                                    std::span<const PodAddresses> pods,
                                                    const LocateOptions& options) {
  const Index index(picture);
  std::map<NamespacedName, InterfaceMatch> matches;
  for (const auto& pod : pods) matches.insert_or_assign(pod.key, Search(index, pod, options).run());
  std::map<std::uint32_t, std::vector<NamespacedName>> found_at;
  for (const auto& [key, match] : matches) {
    if (match.interface) found_at[match.interface->ifindex].push_back(key);
  }
  for (const auto& [ifindex, keys] : found_at) {
    if (keys.size() < 2) continue;
    for (const auto& key : keys) disagree(matches.at(key), key == keys[0] ? keys[1] : keys[0]);
  }
  return matches;
}

}  // namespace postern::agent
