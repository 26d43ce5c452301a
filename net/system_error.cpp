// SPDX-License-Identifier: Apache-2.0
#include "net/system_error.h"

#include <cerrno>
#include <cstring>

namespace postern {

Error system_error(const std::string& what) { return system_error(what, errno); }

Error system_error(const std::string& what, int number) {
  const bool denied = number == EPERM || number == EACCES;
  return {denied ? ErrorCode::permission : ErrorCode::io, what + ": " + std::strerror(number), {}};
}

}  // namespace postern
