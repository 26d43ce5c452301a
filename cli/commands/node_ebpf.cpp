// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_ebpf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "backends/tc/bpf_objects.h"
#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/decode/elements.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;
using tc::BpfObject;

// Programs or maps of the whole machine; without the right to list them, those of the pins.
Result<std::vector<BpfObject>> objects_of(const EbpfOptions& options, bool programs) {
  auto all = programs ? tc::all_programs() : tc::all_maps();
  std::string refused = all ? "" : all.error().to_string();
  const auto node = tc::PinnedNode::open(options.node.pins());
  if (!node) {
    if (!all) return fail(node.error().code, refused + "; nor by pins: " + node.error().to_string());
    return all;
  }
  auto pinned = node->objects();
  if (!pinned) return fail_as(pinned);
  std::erase_if(*pinned, [&](const BpfObject& object) { return object.is_program != programs; });
  if (!all) {
    note(std::string("only Postern's own, by their pins: ") + refused);
    std::sort(pinned->begin(), pinned->end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return pinned;
  }
  for (auto& object : *all) {
    const auto own = std::find_if(pinned->begin(), pinned->end(), [&](const auto& pin) { return pin.id == object.id; });
    if (own != pinned->end()) object.pin = own->pin;
  }
  return all;
}

// "tracing" -> "Tracing", "sched_cls" -> "SchedCLS" as Go's library of eBPF spells them.
std::string type_words(const std::string& type) {
  static const std::map<std::string, std::string> kKnown{
      {"sched_cls", "SchedCLS"},         {"sched_act", "SchedACT"},       {"array", "Array"},
      {"hash", "Hash"},                  {"lru_hash", "LRUHash"},         {"lpm_trie", "LPMTrie"},
      {"percpu_array", "PerCPUArray"},   {"percpu_hash", "PerCPUHash"},   {"ringbuf", "RingBuf"},
      {"array_of_maps", "ArrayOfMaps"},  {"hash_of_maps", "HashOfMaps"},  {"prog_array", "ProgramArray"},
      {"cgroup_skb", "CGroupSKB"},       {"cgroup_device", "CGroupDevice"}, {"cgroup_sock_addr", "CGroupSockAddr"},
      {"kprobe", "Kprobe"},              {"tracepoint", "TracePoint"},    {"tracing", "Tracing"},
      {"socket_filter", "SocketFilter"}, {"xdp", "XDP"}};
  const auto known = kKnown.find(type);
  return known == kKnown.end() ? type : known->second;
}

Json to_json(const BpfObject& object) {
  Json out{{"type", object.type}, {"id", object.id}, {"name", object.name}};
  if (object.is_program) {
    out.update({{"tag", object.tag}, {"mapIds", object.map_ids}});
  } else {
    out.update({{"keySize", object.key_size}, {"valueSize", object.value_size}, {"maxEntries", object.max_entries}});
  }
  out["pin"] = object.pin.empty() ? Json() : Json(object.pin);
  return out;
}

int print_json(const std::vector<BpfObject>& objects) {
  Json out = Json::array();
  for (const auto& object : objects) out.push_back(to_json(object));
  std::fputs((out.dump(2) + "\n").c_str(), stdout);
  return 0;
}

// The name of a pod without what its workload adds, as the Amazon agent puts it: "shop/web-5f7-x" ->
// "web-5f7@shop".
std::string pod_identifier(const NodePod& pod) {
  if (pod.viewed == nullptr) return pod.name;
  std::string name = pod.viewed->pod.name;
  std::replace(name.begin(), name.end(), '.', '_');
  const auto dash = name.rfind('-');
  if (dash != std::string::npos) name.resize(dash);
  return name + "@" + pod.viewed->pod.ns;
}

struct NamedMap {
  std::string name;
  std::uint32_t id = 0;
};

// The maps that a direction of a pod is judged by: its own projected ones, those that all share, and
// with --wide the tables as they are.
std::vector<NamedMap> maps_of(const NodePod& pod, std::uint32_t direction, const std::vector<BpfObject>& objects,
                              bool wide) {
  const bool ingress = direction == PN_INGRESS;
  std::vector<NamedMap> maps;
  for (const ProjectedMap map : {ingress ? ProjectedMap::ingress_map : ProjectedMap::egress_map,
                                 ingress ? ProjectedMap::ingress_pod_state_map : ProjectedMap::egress_pod_state_map,
                                 ingress ? ProjectedMap::cp_ingress_map : ProjectedMap::cp_egress_map}) {
    if (pod.endpoint().value != 0) maps.push_back({name_of(map), projected_id(pod.endpoint(), map)});
  }
  for (const auto& object : objects) {
    if (object.is_program) continue;
    const std::string name = object.pin.substr(object.pin.rfind('/') + 1);
    if (name == "pn_ct") maps.push_back({"aws_conntrack_map", object.id});
    if (name == "pn_events") maps.push_back({"policy_events", object.id});
    if (wide) maps.push_back({name, object.id});
  }
  return maps;
}

const BpfObject* program_of(const std::vector<BpfObject>& objects, std::uint32_t direction) {
  const std::string name = direction == PN_INGRESS ? "/pn_to_pod" : "/pn_from_pod";
  const auto found = std::find_if(objects.begin(), objects.end(),
                                  [&](const BpfObject& object) { return object.pin.ends_with(name); });
  return found == objects.end() ? nullptr : &*found;
}

}  // namespace

const char* name_of(ProjectedMap map) {
  switch (map) {
    case ProjectedMap::ingress_map: return "ingress_map";
    case ProjectedMap::egress_map: return "egress_map";
    case ProjectedMap::ingress_pod_state_map: return "ingress_pod_state_map";
    case ProjectedMap::egress_pod_state_map: return "egress_pod_state_map";
    case ProjectedMap::cp_ingress_map: return "cp_ingress_map";
    case ProjectedMap::cp_egress_map: return "cp_egress_map";
  }
  return "";
}

std::uint32_t projected_id(EndpointId endpoint, ProjectedMap map) {
  return kFirstProjectedId + endpoint.value * 10 + static_cast<std::uint32_t>(map);
}

int run_ebpf_progs(const EbpfOptions& options) {
  const auto programs = objects_of(options, true);
  if (!programs) return refuse(programs.error().to_string());
  if (options.node.json) return print_json(*programs);
  std::string text = "Programs currently loaded : \n";
  for (const auto& program : *programs) {
    text += fmt::format("Type : {} ID : {} Associated maps count : {}\n", type_words(program.type), program.id,
                        program.map_ids.size());
    if (options.wide) {
      text += fmt::format("Name : {} Tag : {} Pin : {}\n", program.name, program.tag,
                          program.pin.empty() ? "-" : program.pin);
    }
    text += kListRule;
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_ebpf_maps(const EbpfOptions& options) {
  const auto maps = objects_of(options, false);
  if (!maps) return refuse(maps.error().to_string());
  if (options.node.json) return print_json(*maps);
  std::string text = "Maps currently loaded : \n";
  for (const auto& map : *maps) {
    text += fmt::format("Type : {} ID : {}\nKeysize {} Valuesize {} MaxEntries {}\n", type_words(map.type), map.id,
                        map.key_size, map.value_size, map.max_entries);
    if (options.wide) text += fmt::format("Name : {} Pin : {}\n", map.name, map.pin.empty() ? "-" : map.pin);
    text += kListRule;
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_ebpf_loaded(const EbpfOptions& options) {
  const auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  const auto pods = node->pods();
  if (!pods) return refuse(pods.error().to_string());
  const auto objects = node->pins.objects();
  if (!objects) return refuse(objects.error().to_string());
  std::string text;
  Json out = Json::array();
  for (const auto& pod : *pods) {
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      const BpfObject* program = program_of(*objects, direction);
      if (program == nullptr) return refuse(node->pins.folder() + " has no program for " + direction_name(direction));
      const auto maps = maps_of(pod, direction, *objects, options.wide);
      text += fmt::format("PinPath:  {}\nPod Identifier : {}  Direction : {} \n", program->pin, pod_identifier(pod),
                          direction_name(direction));
      if (options.wide) {
        text += fmt::format("Pod : {} Interface : {} Ifindex : {} Attached : {}\n", pod.name,
                            pod.interface_name.empty() ? "?" : pod.interface_name, pod.interface.ifindex,
                            pod.attached[direction].empty() ? "no" : pod.attached[direction]);
      }
      text += fmt::format("Prog ID:  {}\nAssociated Maps -> \n", program->id);
      Json listed = Json::array();
      for (const auto& map : maps) {
        text += fmt::format("Map Name:  {}\nMap ID:  {}\n", map.name, map.id);
        listed.push_back({{"name", map.name}, {"id", map.id}});
      }
      text += kListRule;
      out.push_back({{"pinPath", program->pin},
                     {"podIdentifier", pod_identifier(pod)},
                     {"pod", pod.name},
                     {"ifindex", pod.interface.ifindex},
                     {"direction", direction_name(direction)},
                     {"programId", program->id},
                     {"maps", std::move(listed)}});
    }
  }
  std::fputs((options.node.json ? out.dump(2) + "\n" : text).c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
