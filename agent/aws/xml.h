// SPDX-License-Identifier: Apache-2.0
// Small XML answers as a tree. Prefixes of names go with their namespaces' meaning: the answers read here
// have one namespace each. Document types, and with them entities of the sender's own, are refused.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace postern::agent::aws {

struct XmlElement {
  std::string name;  // without prefix
  std::string text;  // directly in it
  std::vector<XmlElement> children;

  // The first child of each name in turn; nullptr where there is none.
  [[nodiscard]] const XmlElement* find(std::initializer_list<std::string_view> path) const;
  // Its text without the blanks around it; empty where there is none.
  [[nodiscard]] std::string text_of(std::initializer_list<std::string_view> path) const;
};

// The root. Errors: invalid_input, with line and column.
Result<XmlElement> parse_xml(std::string_view text);

}  // namespace postern::agent::aws
