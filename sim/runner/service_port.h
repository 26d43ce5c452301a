// SPDX-License-Identifier: Apache-2.0
// Which port of a Service a line means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "engine/base/result.h"
#include "engine/model/objects.h"

namespace postern::sim {

// By number, or by the Service port's name, with the protocol. Errors: not_found with what there is;
// invalid_input for a protocol without ports.
Result<const ServicePort*> service_port(const Service& service, Protocol protocol,
                                        const std::optional<IntOrString>& wanted, const Location& where);

}  // namespace postern::sim
