// SPDX-License-Identifier: Apache-2.0
// The JSON of one object, or of one event of a watch -> WatchedObject.
//
// The mask of the resource is applied while the text is read, and the manifest reader turns what is left
// into values, so that defaulting and refusal are those of manifests. An object that is refused is a
// Rejection and no error: the rest of the answer stands. An error means that the answer is none.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/kube/field_mask.h"
#include "agent/kube/object_splitter.h"
#include "agent/kube/resource_sink.h"

namespace postern::agent::kube {

// What of the objects of a resource is kept.
const FieldMask& mask_of(ResourceKind kind);

struct Rejection {
  NamespacedName key;  // without a name: what is too large to be read did not say in its beginning
  std::string resource_version;
  std::vector<Error> errors;
};

using DecodedObject = std::variant<WatchedObject, Rejection>;

// Elements of lists do not say their kind; one that says another is an error.
Result<DecodedObject> decode_object(const Resource& resource, const Piece& piece);

// The API's own words for what went wrong, from an ERROR event or the body of an answer.
struct ApiStatus {
  int code = 0;
  std::string reason;   // "Expired", "Forbidden"
  std::string message;  // may be empty
  bool too_large_resource_version = false;
  std::optional<Duration> retry_after;
};
// Of a body that is a Status; of any other, the beginning of its text as message and no reason.
ApiStatus decode_status(std::string_view body);
// "410 Expired: too old resource version", "503: upstream connect error".
std::string to_string(const ApiStatus& status);

struct WatchEvent {
  enum class Type : std::uint8_t { added, modified, deleted, bookmark, error };
  Type type = Type::added;
  std::string resource_version;         // of the object or the bookmark; empty if a rejected one has none
  std::optional<DecodedObject> object;  // of added, modified and deleted
  ApiStatus status;                     // of error
};
Result<WatchEvent> decode_event(const Resource& resource, const Piece& piece);

// metadata of a list: what ObjectSplitter::envelope() says.
struct ListMeta {
  std::string resource_version;
  std::string continue_token;  // empty on the last page
};
// Errors: not a list of this kind, or without a resourceVersion.
Result<ListMeta> decode_list_meta(const Resource& resource, std::string_view envelope);

}  // namespace postern::agent::kube
