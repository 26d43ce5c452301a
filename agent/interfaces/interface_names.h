// SPDX-License-Identifier: Apache-2.0
// Names that CNI plug-ins make from a pod's name. A name is a check on the other ways to find a pod's
// interface, and a way of its own where nothing else is known yet.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/objects.h"

namespace postern::agent {

// A text with placeholders: {namespace}, {pod}, and {hash}, the first 11 hexadecimal digits of the SHA-1
// of "<namespace>.<pod>".
class NameTemplate {
 public:
  // Errors: invalid_input, naming what is wrong: an unknown or open brace, nothing of the pod in it, or
  // more than fits a name.
  static Result<NameTemplate> parse(std::string_view text);

  // The name of the pod's interface; nullopt: it would be longer than the kernel's 15 bytes.
  [[nodiscard]] std::optional<std::string> name_of(const NamespacedName& pod) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  explicit NameTemplate(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Amazon's "eni{hash}" and "vlan{hash}" (a pod with a branch interface), and Calico's "cali{hash}".
std::vector<NameTemplate> known_name_templates();

}  // namespace postern::agent
