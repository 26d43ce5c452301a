// SPDX-License-Identifier: Apache-2.0
// Manifests -> objects, defaulted and checked like the API server does it.
//
// Kinds that policy depends on are read, lists are unpacked, other kinds are counted. A policy kind
// that this version cannot enforce is an error, because leaving it out would change verdicts; a
// caller may ask for it to be ignored. Every error of a file is reported, not only the first.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/objects.h"
#include "engine/manifest/value.h"

namespace postern::manifest {

using Errors = std::vector<Error>;

struct ReadOptions {
  // Policy kinds that are not supported are listed in the result instead of being errors.
  bool ignore_unsupported = false;
  // The objects come from an API server, which has defaulted and checked them, and not from a file that
  // somebody wrote. Then a status says what is: nothing gets an address assigned, a pod is ready only if
  // it says so. What API servers let in beyond what they let in today is read as they mean it, and no
  // annotation makes an object unreadable: whoever may write one could hide it so.
  bool live = false;
};

// A policy object of a kind that is left out.
struct UnsupportedPolicy {
  Location location;
  std::string kind;  // "CiliumNetworkPolicy"
  std::string api_version;
  std::string name;  // "ns/name", or "name" without a namespace
};

struct Manifest {
  std::vector<Object> objects;  // in the order written, lists unpacked, workloads still as templates
  std::map<std::string, std::size_t> skipped_kinds;  // kinds that no policy depends on, how often
  std::vector<UnsupportedPolicy> unsupported;        // only with ignore_unsupported
};

// Reads a whole file. `file` names the place in messages, and its ending the syntax (.json, else
// YAML). Errors: invalid_input, or unsupported for kinds that are refused; never empty on failure.
tl::expected<Manifest, Errors> read_manifest(std::string_view text, const std::string& file,
                                             const ReadOptions& options = {});

// An object that says its kind and name and is wrong, and which errors are about it.
struct RefusedObject {
  ObjectRef object;
  std::size_t first_error = 0;  // of `errors` that follow one another
  std::size_t errors = 0;
};

// What is right of a text that need not be right as a whole.
struct PartialManifest {
  Manifest manifest;
  Errors errors;  // empty: all of it was read
  std::vector<RefusedObject> refused;
  // Some error is about no such object (a syntax error, a missing name), so nobody knows what is missing.
  bool incomplete = false;
};
PartialManifest read_what_is_right(std::string_view text, const std::string& file, const ReadOptions& options = {});

// Reads objects out of trees, for texts that hold objects and other things too.
class ObjectReader {
 public:
  ObjectReader(std::string file, const ReadOptions& options) : file_(std::move(file)), options_(options) {}

  // One object, or a list of them. What is wrong goes to errors(), what is right to manifest().
  void read(const Value& object);

  [[nodiscard]] Manifest& manifest() { return manifest_; }
  [[nodiscard]] Errors& errors() { return errors_; }
  [[nodiscard]] std::vector<RefusedObject>& refused() { return refused_; }
  // Errors without which nothing else would be missing: of refused() and of kinds that are never held.
  [[nodiscard]] std::size_t errors_of_refused() const { return errors_of_refused_; }

 private:
  void read_list(const Value& list, const std::string& api_version, const std::string& item_kind);
  void read_typed(const Value& object, const std::string& api_version, const std::string& kind);
  void leave_out_policy(const Value& object, const std::string& api_version, const std::string& kind);
  void refuse(ObjectRef object, std::size_t first_error);

  std::string file_;
  ReadOptions options_;
  Manifest manifest_;
  Errors errors_;
  std::vector<RefusedObject> refused_;
  std::size_t errors_of_refused_ = 0;
};

}  // namespace postern::manifest
