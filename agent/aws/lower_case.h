// SPDX-License-Identifier: Apache-2.0
// Names of hosts, schemes and headers in the one form in which they are compared and signed. ASCII alone: it
// must not depend on the process's locale.
#pragma once

#include <string>

namespace postern::agent::aws {

inline std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace postern::agent::aws
