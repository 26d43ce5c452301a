// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/service_port.h"

#include <vector>

#include "engine/base/nearest_names.h"

namespace postern::sim {

namespace {

bool is_meant(const ServicePort& port, const IntOrString& wanted) {
  if (const auto* number = std::get_if<std::uint16_t>(&wanted)) return port.port == *number;
  return port.name == std::get<std::string>(wanted);
}

std::string spelt(const IntOrString& wanted) {
  if (const auto* number = std::get_if<std::uint16_t>(&wanted)) return std::to_string(*number);
  return '"' + std::get<std::string>(wanted) + '"';
}

// "web (TCP 80), TCP 81"
std::string list_of(const std::vector<ServicePort>& ports) {
  std::string text;
  for (const ServicePort& port : ports) {
    const std::string number = std::string(to_string(port.protocol)) + ' ' + std::to_string(port.port);
    text += (text.empty() ? "" : ", ") + (port.name.empty() ? number : port.name + " (" + number + ')');
  }
  return text.empty() ? "no port at all" : text;
}

}  // namespace

Result<const ServicePort*> service_port(const Service& service, Protocol protocol,
                                        const std::optional<IntOrString>& wanted, const Location& where) {
  const std::string name = "Service " + service.key.to_string();
  if (!wanted || protocol == Protocol::icmp) {
    return fail(ErrorCode::invalid_input,
                name + " takes TCP, UDP and SCTP at its ports: found " + std::string(to_string(protocol)) +
                    ", expected one of these with a port",
                where);
  }
  std::vector<std::string> names;
  for (const ServicePort& port : service.ports) {
    if (port.protocol == protocol && is_meant(port, *wanted)) return &port;
    if (port.protocol == protocol && !port.name.empty()) names.push_back(port.name);
  }
  const auto* word = std::get_if<std::string>(&*wanted);
  return fail(ErrorCode::not_found,
              name + " has no " + std::string(to_string(protocol)) + " port " + spelt(*wanted) +
                  ", expected one of " + list_of(service.ports) +
                  (word == nullptr ? std::string() : did_you_mean(*word, names)),
              where);
}

}  // namespace postern::sim
