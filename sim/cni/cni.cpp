// SPDX-License-Identifier: Apache-2.0
#include "sim/cni/cni.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "net/fd.h"
#include "net/system_error.h"
#include "sim/cni/plugin_process.h"

namespace postern::sim {
namespace {

using nlohmann::json;

std::string_view program_of(CniPlugin plugin) {
  switch (plugin) {
    case CniPlugin::ptp: return "ptp";
    case CniPlugin::bridge: return "bridge";
  }
  return "";
}

json configuration_of(const CniNetwork& network, const CniRequest& request) {
  json ranges = json::array();
  json routes = json::array();
  for (std::size_t i = 0; i < network.ranges.size(); ++i) {
    const Cidr& range = network.ranges[i];
    json one{{"subnet", range.to_string()}};
    if (i < network.gateways.size()) one["gateway"] = network.gateways[i].to_string();
    ranges.push_back(json::array({one}));
    routes.push_back({{"dst", range.family() == IpFamily::v4 ? "0.0.0.0/0" : "::/0"}});
  }
  json configuration{{"cniVersion", "1.0.0"},
                     {"name", network.name},
                     {"type", program_of(network.plugin)},
                     {"ipam",
                      {{"type", "host-local"},
                       {"dataDir", network.state_directory},
                       {"ranges", ranges},
                       {"routes", routes}}}};
  if (network.plugin == CniPlugin::bridge) {
    configuration["bridge"] = network.bridge;
    configuration["isGateway"] = true;
    configuration["hairpinMode"] = true;  // a pod reaches itself through a Service
  }
  if (!request.addresses.empty()) {
    json wanted = json::array();
    for (const auto& address : request.addresses) wanted.push_back(address.to_string());
    configuration["args"]["cni"]["ips"] = wanted;
  }
  return configuration;
}

// A member that is a text; empty: there is none.
std::string text_of(const json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_string()) return {};
  return object[name].get<std::string>();
}

Result<std::string> call(const CniNetwork& network, const CniRequest& request, const std::string& command) {
  PluginRun run;
  run.program = network.plugin_directory + "/" + std::string(program_of(network.plugin));
  run.environment = {"CNI_COMMAND=" + command,
                     "CNI_CONTAINERID=" + request.container_id,
                     "CNI_NETNS=" + request.netns_path,
                     "CNI_IFNAME=" + request.interface,
                     "CNI_PATH=" + network.plugin_directory,
                     "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=" + request.pod.ns +
                         ";K8S_POD_NAME=" + request.pod.name,
                     "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  run.input = configuration_of(network, request).dump();
  auto outcome = run_plugin(run);
  if (!outcome) return fail_as(outcome);
  if (outcome->status == 0) return std::move(outcome->output);
  const json said = json::parse(outcome->output, nullptr, false);
  std::string why = text_of(said, "msg") + " " + text_of(said, "details");
  if (why == " ") why = outcome->output;
  return fail(ErrorCode::io, "CNI " + command + " of " + request.pod.to_string() + " by " + run.program +
                                 " ended with " + std::to_string(outcome->status) + ": " + why);
}

Result<CniPod> read_result(const std::string& text, const CniRequest& request) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::io, "CNI ADD of " + request.pod.to_string() + " answered without " + what + ": " + text);
  };
  const json result = json::parse(text, nullptr, false);
  if (!result.is_object() || !result.contains("interfaces") || !result.contains("ips")) {
    return refuse("interfaces and ips");
  }
  CniPod pod{request, {}, {}};
  for (const auto& interface : result["interfaces"]) {
    // The last one on the host: the bridge, if there is one, comes before.
    if (text_of(interface, "sandbox").empty()) pod.host_interface = text_of(interface, "name");
  }
  for (const auto& entry : result["ips"]) {
    const std::string block = text_of(entry, "address");
    const auto address = IpAddress::parse(std::string_view(block).substr(0, block.find('/')));
    if (!address) return refuse("an address that can be read");
    pod.addresses.push_back(*address);
  }
  if (pod.host_interface.empty()) return refuse("an interface of the host");
  return pod;
}

Result<void> write_setting(const std::string& path, const std::string& value) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || ::write(file.get(), value.data(), value.size()) < 0) {
    return tl::unexpected(system_error("cannot write " + value + " to " + path));
  }
  return {};
}

}  // namespace

std::string missing_cni_plugin(const CniNetwork& network) {
  for (const std::string_view program : {program_of(network.plugin), std::string_view("host-local")}) {
    const std::string path = network.plugin_directory + "/" + std::string(program);
    if (::access(path.c_str(), X_OK) != 0) return path;
  }
  return {};
}

Result<CniPod> cni_add(const CniNetwork& network, const CniRequest& request) {
  const auto said = call(network, request, "ADD");
  if (!said) return fail_as(said);
  return read_result(*said, request);
}

Result<void> cni_del(const CniNetwork& network, const CniPod& pod) {
  const auto said = call(network, pod.request, "DEL");
  if (!said) return fail_as(said);
  return {};
}

Result<Netns> make_pod_netns() {
  auto made = Netns::create(NetnsKind::end);
  if (!made) return made;
  const auto scope = NetnsScope::enter(*made);
  if (!scope) return fail_as(scope);
  const std::string settings = "/proc/sys/net/ipv6/conf/";
  if (::access(settings.c_str(), F_OK) != 0) return made;  // a kernel without IPv6
  for (const char* const which : {"all/", "default/"}) {
    for (const char* const setting : {"accept_dad", "disable_ipv6"}) {
      if (auto done = write_setting(settings + which + setting, "0"); !done) return fail_as(done);
    }
  }
  return made;
}

std::string netns_path(const Netns& netns) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(netns.fd());
}

}  // namespace postern::sim
