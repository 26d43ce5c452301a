// SPDX-License-Identifier: Apache-2.0
// The annotations of postern.dev (R45): how strict a namespace is, and what is in audit.
//
// In a file, a key that nobody knows and a key where it means nothing are mistakes and are refused. A value that
// nobody knows leaves no namespace and no policy out: the stricter reading holds, and a remark tells of it. What an
// API server holds is refused for none of these: whoever annotates an object could hide it so.
// Private to engine/manifest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/manifest/fields.h"

namespace postern::manifest {

// Whether objects of this kind have a use for them; then their reader calls one of the two functions below.
bool takes_annotations(std::string_view kind);
// All others.
void expect_no_annotations(const Report& report, const Value& object);

// `object`: with its metadata. Enforcement and audit.
void read_namespace_annotations(const Report& report, const Value& object, Namespace& ns);
// Whether the policy is in audit; `remarks`: the policy's.
bool read_audit(const Report& report, const Value& object, std::vector<std::string>& remarks);

}  // namespace postern::manifest
