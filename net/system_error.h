// SPDX-License-Identifier: Apache-2.0
// What a system call that failed says, as an Error.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace postern {

// An Error with the text of errno, or of a number: permission for EPERM and EACCES, else io.
Error system_error(const std::string& what);
Error system_error(const std::string& what, int number);

}  // namespace postern
