// SPDX-License-Identifier: Apache-2.0
// The fewest objects, and the fewest parts of them, for which a question still has its answer. Objects keep
// their names; what goes is whole objects, then labels, requirements, rules, peers, ports, excepts, written
// addresses and the like, until no single one can go. Only parts are taken away whose absence is an object
// that an API server takes.
#pragma once

#include <functional>
#include <vector>

#include "engine/manifest/objects.h"

namespace postern::sim {

// `holds` looks at `objects`, and is true for them as they are.
void shrink_objects(std::vector<manifest::Object>& objects, const std::function<bool()>& holds);

}  // namespace postern::sim
