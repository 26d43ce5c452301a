// SPDX-License-Identifier: Apache-2.0
// Pods, and the workloads that make them.
#include <array>

#include "engine/manifest/kinds.h"
#include "engine/manifest/workloads.h"

namespace postern::manifest {

namespace {

void read_ports(const Report& report, const Value& container, std::vector<ContainerPort>& ports) {
  for (const Value* entry : mappings_at(report, &container, "ports")) {
    ContainerPort port;
    const Value* number = entry->find("containerPort");
    if (number == nullptr) {
      report.error(*entry, "containerPort: found nothing, expected a port number from 1 to 65535");
      continue;
    }
    const auto read = port_number_of(report, *number, "containerPort");
    const auto protocol = protocol_at(report, entry);
    if (const auto name = string_at(report, entry, "name"); name && !name->empty()) {
      port.name = *name;
      if (const char* expected = wrong_port_name(*name)) {
        report.unexpected(*entry->find("name"), "name", expected);
      }
    }
    if (!read || !protocol) continue;
    port.port = *read;
    port.protocol = *protocol;
    ports.push_back(std::move(port));
  }
}

struct PhaseRow {
  std::string_view name;
  PodPhase phase;
};
constexpr std::array<PhaseRow, 5> kPhases{{{"Pending", PodPhase::pending},
                                           {"Running", PodPhase::running},
                                           {"Succeeded", PodPhase::succeeded},
                                           {"Failed", PodPhase::failed},
                                           {"Unknown", PodPhase::unknown}}};

void read_phase(const Report& report, const Value* status, Pod& pod) {
  const auto written = string_at(report, status, "phase");
  if (!written || written->empty()) return;
  for (const auto& row : kPhases) {
    if (row.name != *written) continue;
    pod.phase = row.phase;
    return;
  }
  report.unexpected(*status->find("phase"), "phase", "Pending, Running, Succeeded, Failed or Unknown");
}

void read_conditions(const Report& report, const Value* status, Pod& pod) {
  if (report.live) pod.ready = false;
  for (const Value* condition : mappings_at(report, status, "conditions")) {
    if (string_at(report, condition, "type") != "Ready") continue;
    const auto ready = string_at(report, condition, "status");
    pod.ready = report.live ? ready == "True" : ready != "False";
  }
}

std::optional<IpAddress> pod_address(const Report& report, const Value& value, std::string_view name) {
  const auto address = address_of(report, value, name);
  if (!address || address->is_of_a_host()) return address;
  report.unexpected(value, name, kHostAddress);
  return std::nullopt;
}

// podIPs, "the IP addresses allocated to the pod", holds podIP as its first element.
void read_addresses(const Report& report, const Value* status, Pod& pod) {
  for (const Value* entry : mappings_at(report, status, "podIPs")) {
    const Value* ip = entry->find("ip");
    if (report.live && (ip == nullptr || ip->text.empty())) continue;  // none yet
    if (ip == nullptr) {
      report.error(*entry, "ip: found nothing, expected an address");
    } else if (const auto address = pod_address(report, *ip, "ip")) {
      if (pod.address(address->family())) {
        report.unexpected(*ip, "podIPs", "at most one address of each family");
      } else {
        pod.addresses.push_back(*address);
      }
    }
  }
  const Value* written = status == nullptr ? nullptr : status->find("podIP");
  if (written == nullptr || (written->kind == Kind::string && written->text.empty())) return;
  const auto address = pod_address(report, *written, "podIP");
  if (!address) return;
  if (pod.addresses.empty()) {
    pod.addresses.push_back(*address);
  } else if (pod.addresses.front() != *address) {
    report.unexpected(*written, "podIP", "the first of podIPs, " + pod.addresses.front().to_string());
  }
}

}  // namespace

Pod read_pod_spec(const Report& report, const Value* spec, Metadata metadata) {
  Pod pod;
  pod.key = std::move(metadata.key);
  pod.labels = std::move(metadata.labels);
  pod.annotations = std::move(metadata.annotations);
  pod.host_network = boolean_at(report, spec, "hostNetwork").value_or(false);
  if (const auto node = string_at(report, spec, "nodeName"); node && !node->empty()) {
    pod.node_name = *node;
    if (const char* expected = wrong_subdomain(*node)) {
      report.unexpected(*spec->find("nodeName"), "nodeName", expected);
    }
  }
  for (const Value* container : mappings_at(report, spec, "containers")) {
    read_ports(report, *container, pod.ports);
  }
  // An init container that restarts Always runs beside the others, and its ports count (R9).
  for (const Value* container : mappings_at(report, spec, "initContainers")) {
    if (string_at(report, container, "restartPolicy") == "Always") read_ports(report, *container, pod.ports);
  }
  return pod;
}

namespace {

// Of the owner that controls it: "Deployment/web". A ReplicaSet whose name ends in the pods' own template
// hash is a Deployment's; any other is its own.
std::string controlling_workload(const Report& report, const Value& object, const Labels& labels) {
  for (const Value* owner : mappings_at(report, mapping_at(report, &object, "metadata"), "ownerReferences")) {
    if (!boolean_at(report, owner, "controller").value_or(false)) continue;
    const std::string kind = string_at(report, owner, "kind").value_or("");
    const std::string name = string_at(report, owner, "name").value_or("");
    if (kind.empty() || name.empty()) continue;
    const auto hash = labels.find("pod-template-hash");
    const std::string suffix = hash == labels.end() ? std::string() : "-" + hash->second;
    if (kind == "ReplicaSet" && suffix.size() > 1 && name.size() > suffix.size() && name.ends_with(suffix)) {
      return "Deployment/" + name.substr(0, name.size() - suffix.size());
    }
    return kind + "/" + name;
  }
  return {};
}

}  // namespace

AnyObject read_pod(const Report& report, const Value& object, Metadata metadata) {
  PodObject read;
  read.pod = read_pod_spec(report, mapping_at(report, &object, "spec"), std::move(metadata));
  read.pod.workload = controlling_workload(report, object, read.pod.labels);
  const Value* status = mapping_at(report, &object, "status");
  read_phase(report, status, read.pod);
  read_conditions(report, status, read.pod);
  read_addresses(report, status, read.pod);
  // No podIP at all: the world of files assigns one. An empty one: the pod has none yet.
  const bool written = status != nullptr && status->find("podIP") != nullptr;
  read.assign_address = !report.live && read.pod.addresses.empty() && !written;
  return read;
}

namespace {

std::uint32_t read_count(const Report& report, const Value* spec, std::string_view name) {
  const auto number = integer_at(report, spec, name);
  if (!number) return 1;
  if (*number >= 0 && *number <= static_cast<std::int64_t>(kMaxReplicas)) {
    return static_cast<std::uint32_t>(*number);
  }
  report.unexpected(*spec->find(name), name, "a number from 0 to " + std::to_string(kMaxReplicas));
  return 1;
}

}  // namespace

AnyObject read_workload(const Report& report, const Value& object, Metadata metadata) {
  Workload workload;
  workload.kind = object.find("kind")->text;
  workload.key = metadata.key;
  const Value* spec = mapping_at(report, &object, "spec");
  if (workload.kind == "CronJob") {
    spec = mapping_at(report, mapping_at(report, spec, "jobTemplate"), "spec");
  }
  if (workload.kind == "Job" || workload.kind == "CronJob") {
    workload.replicas = read_count(report, spec, "parallelism");
  } else if (workload.kind != "DaemonSet") {
    workload.replicas = read_count(report, spec, "replicas");
  }
  const Value* pod_template = mapping_at(report, spec, "template");
  if (pod_template == nullptr) {
    if (spec == nullptr || spec->find("template") == nullptr) {
      report.error(spec == nullptr ? object : *spec, "template: found nothing, expected a pod template");
    }
    return workload;
  }
  const Value* template_metadata = mapping_at(report, pod_template, "metadata");
  Metadata pod_metadata;
  pod_metadata.key.ns = metadata.key.ns;
  pod_metadata.labels = label_strings_at(report, template_metadata, "labels");
  pod_metadata.annotations = strings_at(report, template_metadata, "annotations");
  workload.pod_template =
      read_pod_spec(report, mapping_at(report, pod_template, "spec"), std::move(pod_metadata));
  workload.pod_template.workload = workload.kind + "/" + workload.key.name;
  return workload;
}

}  // namespace postern::manifest
