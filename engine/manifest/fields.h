// SPDX-License-Identifier: Apache-2.0
// Reading fields of Kubernetes objects: absent and null are one, a wrong type is reported with its
// place and read as absent, so that one look at a file finds everything that is wrong with it.
// Also used for the scenario format's own part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/manifest/value.h"
#include "engine/model/objects.h"

namespace postern::manifest {

// More errors of one file help nobody, and hostile text could make millions.
inline constexpr std::size_t kMaxErrors = 1000;

// Where errors go.
struct Report {
  const std::string& file;
  std::vector<Error>& errors;
  bool live = false;  // see ReadOptions::live

  [[nodiscard]] Location at(const Value& value) const { return {file, value.line, value.column}; }
  void error(const Value& place, std::string message, ErrorCode code = ErrorCode::invalid_input) const {
    if (errors.size() < kMaxErrors) errors.push_back({code, std::move(message), at(place)});
  }
  // "NAME: found 7, expected EXPECTED"
  void unexpected(const Value& found, std::string_view name, std::string_view expected) const;
};

// `parent` may be null: then everything in it is absent.
const Value* mapping_at(const Report& report, const Value* parent, std::string_view name);
std::optional<std::string> string_at(const Report& report, const Value* parent, std::string_view name);
std::optional<std::int64_t> integer_at(const Report& report, const Value* parent, std::string_view name);
std::optional<bool> boolean_at(const Report& report, const Value* parent, std::string_view name);
// Elements of a list, in order; none when it is absent.
std::vector<const Value*> list_at(const Report& report, const Value* parent, std::string_view name);
// The same for lists whose elements must be mappings; others are reported and left out. A null element
// is an empty mapping, as it is for the API server.
std::vector<const Value*> mappings_at(const Report& report, const Value* parent, std::string_view name);
// A mapping of strings; a null value is an empty string.
std::map<std::string, std::string> strings_at(const Report& report, const Value* parent,
                                              std::string_view name);

// The number of an integer scalar, in the notations of YAML 1.2; none if it is too large.
std::optional<std::int64_t> integer_of(const Value& value);

[[nodiscard]] bool is_port_number(const Value& value);  // an integer from 1 to 65535
// A port number 1..65535 of an integer value, else reported.
std::optional<std::uint16_t> port_number_of(const Report& report, const Value& value, std::string_view name);
// A number or a name of a port.
std::optional<IntOrString> port_of(const Report& report, const Value& value, std::string_view name);
// A protocol of the API, TCP when absent; reported and none when unknown.
std::optional<Protocol> protocol_at(const Report& report, const Value* parent);

// "10.0.0.1" or an IPv6 address; reported when it is none.
std::optional<IpAddress> address_of(const Report& report, const Value& value, std::string_view name);
// For text that somebody may take for an address, though it is none (leading zeros, a zone, IPv4 inside
// IPv6): what is expected instead. Null for other text.
const char* almost_an_address(std::string_view text);
// What is expected where an address must be that of a host (IpAddress::is_of_a_host).
inline constexpr const char* kHostAddress =
    "an address of a host: not unspecified, loopback, multicast, broadcast or link-local IPv6";
std::optional<Cidr> cidr_of(const Report& report, const Value& value, std::string_view name);

// Names as the API server checks them: null when right, else what a name must be.
const char* wrong_subdomain(std::string_view name);   // most objects: "my-pod.v2", up to 253
const char* wrong_label_name(std::string_view name);  // namespaces, services: "my-ns", up to 63
const char* wrong_port_name(std::string_view name);   // IANA_SVC_NAME, up to 15, with a letter
const char* wrong_label_key(std::string_view key);
const char* wrong_label_value(std::string_view value);

}  // namespace postern::manifest
