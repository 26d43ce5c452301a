// SPDX-License-Identifier: Apache-2.0
// The place of a unix socket before it is bound: gRPC removes whatever socket it finds there, so this
// looks first whether somebody serves it.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace postern::agent {

// Free, or a socket that nobody listens on. Errors: io, naming the path: its folder is missing, something
// else is there, or a process serves it.
Result<void> check_socket_place(const std::string& path, const std::string& flag);

}  // namespace postern::agent
