// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/object_decoder.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/manifest/reader.h"

namespace postern::agent::kube {

using manifest::Kind;
using manifest::Value;

namespace {

std::string text_at(const Value* parent, std::string_view name) {
  const Value* value = parent == nullptr ? nullptr : parent->find(name);
  return value == nullptr || !value->is_scalar() ? std::string() : value->text;
}

NamespacedName key_of(const Value& object) {
  const Value* metadata = object.find("metadata");
  return {text_at(metadata, "namespace"), text_at(metadata, "name")};
}

// "Pod shop/web", the place that messages name.
std::string title(const Resource& resource, const NamespacedName& key) {
  std::string name = key.name.empty() ? "(without a name in its beginning)" : key.name;
  if (!key.ns.empty()) name = key.ns + "/" + name;
  return std::string(resource.kind) + " " + name;
}

Rejection refuse(const Resource& resource, const Value& beginning, std::string why) {
  Rejection rejection;
  rejection.key = key_of(beginning);
  rejection.resource_version = text_at(beginning.find("metadata"), "resourceVersion");
  rejection.errors.push_back(
      {ErrorCode::invalid_input, std::move(why), {title(resource, rejection.key), 0, 0}});
  return rejection;
}

const FieldMask& identity_mask() {
  static const FieldMask kIdentity{
      {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "resourceVersion"}};
  return kIdentity;
}

std::string too_large(const Piece& piece) {
  return "the object has " + std::to_string(piece.bytes) + " bytes of JSON, expected at most " +
         std::to_string(ObjectSplitter::kMaxObjectBytes);
}

void set_type(Value& object, const Resource& resource) {
  if (object.kind != Kind::mapping) return;
  const auto add = [&](const char* key, std::string text) {
    if (object.find(key) != nullptr) return;
    object.items.push_back({Kind::string, 0, 0, key, {}});
    object.items.push_back({Kind::string, 0, 0, std::move(text), {}});
  };
  add("apiVersion", resource.api_version());
  add("kind", std::string(resource.kind));
}

DecodedObject read_object(const Resource& resource, WatchedObject object, const Value& tree) {
  manifest::ReadOptions options;
  options.live = true;
  manifest::ObjectReader reader(title(resource, object.key), options);
  reader.read(tree);
  auto& read = reader.manifest().objects;
  if (reader.errors().empty() && read.size() == 1) {
    read.front().location = {};  // a place in no file
    object.content = std::move(read.front());
    return object;
  }
  Rejection rejection{object.key, object.resource_version, std::move(reader.errors())};
  if (rejection.errors.empty()) return refuse(resource, tree, "the reader of manifests does not know it");
  return rejection;
}

// A tree that the mask of the resource has left.
Result<DecodedObject> decode_tree(const Resource& resource, Value tree) {
  set_type(tree, resource);  // first of all: it moves what is in the tree
  const Value* metadata = tree.find("metadata");
  WatchedObject object;
  object.key = key_of(tree);
  if (object.key.name.empty()) {
    return fail(ErrorCode::invalid_input,
                "found an object without metadata.name, expected a " + std::string(resource.kind));
  }
  if (text_at(&tree, "kind") != resource.kind || text_at(&tree, "apiVersion") != resource.api_version()) {
    return fail(ErrorCode::invalid_input, "found a " + text_at(&tree, "kind") + " of " +
                                              text_at(&tree, "apiVersion") + ", expected a " +
                                              std::string(resource.kind) + " of " + resource.api_version());
  }
  object.uid = text_at(metadata, "uid");
  object.resource_version = text_at(metadata, "resourceVersion");
  object.terminating = !text_at(metadata, "deletionTimestamp").empty();
  if (resource.id == ResourceKind::pods) object.host_ip = text_at(tree.find("status"), "hostIP");
  return read_object(resource, std::move(object), tree);
}

}  // namespace

Result<DecodedObject> decode_object(const Resource& resource, const Piece& piece) {
  if (!piece.whole) {
    return refuse(resource, read_beginning(piece.text, identity_mask()), too_large(piece));
  }
  auto masked = read_masked(piece.text, mask_of(resource.id));
  if (!masked) return fail_as(masked);
  if (!masked->refusal.empty()) {
    return refuse(resource, read_beginning(piece.text, identity_mask()), masked->refusal);
  }
  return decode_tree(resource, std::move(masked->tree));
}

namespace {

ApiStatus status_of(const Value& object) {
  ApiStatus status;
  status.reason = text_at(&object, "reason");
  status.message = text_at(&object, "message");
  const std::string code = text_at(&object, "code");
  std::from_chars(code.data(), code.data() + code.size(), status.code);
  const Value* details = object.find("details");
  const std::string seconds_text = text_at(details, "retryAfterSeconds");
  std::int64_t wait = 0;
  std::from_chars(seconds_text.data(), seconds_text.data() + seconds_text.size(), wait);
  if (wait > 0) status.retry_after = seconds(std::min<std::int64_t>(wait, 3600));
  const Value* causes = details == nullptr ? nullptr : details->find("causes");
  for (std::size_t i = 0; causes != nullptr && causes->kind == Kind::sequence && i < causes->size(); ++i) {
    // Servers before 1.18 say it in the message alone.
    status.too_large_resource_version = status.too_large_resource_version ||
                                        text_at(&causes->items[i], "reason") == "ResourceVersionTooLarge" ||
                                        text_at(&causes->items[i], "message") == "Too large resource version";
  }
  return status;
}

FieldMask& add_status(FieldMask& mask) {
  return mask.add({"reason"}).add({"message"}).add({"code"}).add({"details"});
}

FieldMask event_mask(ResourceKind kind) {
  FieldMask object = mask_of(kind);
  FieldMask event{{"type"}};
  event.add("object", add_status(object));
  return event;
}

const FieldMask& event_mask_of(ResourceKind kind) {
  static const std::vector<FieldMask> kMasks = [] {
    std::vector<FieldMask> masks;
    for (const Resource& resource : all_resources()) masks.push_back(event_mask(resource.id));
    return masks;
  }();
  return kMasks[static_cast<std::size_t>(kind)];
}

struct TypeRow {
  std::string_view name;
  WatchEvent::Type type;
};
constexpr TypeRow kTypes[] = {{"ADDED", WatchEvent::Type::added},
                              {"MODIFIED", WatchEvent::Type::modified},
                              {"DELETED", WatchEvent::Type::deleted},
                              {"BOOKMARK", WatchEvent::Type::bookmark},
                              {"ERROR", WatchEvent::Type::error}};

Result<WatchEvent::Type> type_of(const Value& event) {
  const std::string written = text_at(&event, "type");
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeRow& each) { return each.name == written; });
  if (row != std::end(kTypes)) return row->type;
  return fail(ErrorCode::invalid_input, "found an event of type \"" + written.substr(0, 60) +
                                            "\", expected ADDED, MODIFIED, DELETED, BOOKMARK or ERROR");
}

// An event whose object is too large or too deep to be read.
Result<WatchEvent> decode_refused_event(const Resource& resource, const Piece& piece, std::string why) {
  FieldMask mask{{"type"}};
  mask.add("object", identity_mask());
  const Value beginning = read_beginning(piece.text, mask);
  const auto type = type_of(beginning);
  if (!type) return fail_as(type);
  const Value* object = beginning.find("object");
  WatchEvent event;
  event.type = *type;
  auto rejection = refuse(resource, object == nullptr ? Value{} : *object, std::move(why));
  event.resource_version = rejection.resource_version;
  event.object = DecodedObject(std::move(rejection));
  return event;
}

Value take_member(Value& mapping, std::string_view name) {
  for (std::size_t i = 0; i < mapping.size(); ++i) {
    if (mapping.key(i).text == name) return std::move(mapping.items[2 * i + 1]);
  }
  return {};
}

}  // namespace

Result<WatchEvent> decode_event(const Resource& resource, const Piece& piece) {
  if (!piece.whole) return decode_refused_event(resource, piece, too_large(piece));
  auto masked = read_masked(piece.text, event_mask_of(resource.id));
  if (!masked) return fail_as(masked);
  if (!masked->refusal.empty()) return decode_refused_event(resource, piece, masked->refusal);
  const auto type = type_of(masked->tree);
  if (!type) return fail_as(type);
  WatchEvent event;
  event.type = *type;
  const Value* object = masked->tree.find("object");
  if (object == nullptr || object->kind != Kind::mapping) {
    return fail(ErrorCode::invalid_input, "found an event without an object, expected one");
  }
  if (event.type == WatchEvent::Type::error) {
    event.status = status_of(*object);
    return event;
  }
  event.resource_version = text_at(object->find("metadata"), "resourceVersion");
  if (event.resource_version.empty()) {
    return fail(ErrorCode::invalid_input, "found an event without metadata.resourceVersion, expected one");
  }
  if (event.type == WatchEvent::Type::bookmark) return event;
  auto decoded = decode_tree(resource, take_member(masked->tree, "object"));
  if (!decoded) return fail_as(decoded);
  event.object = std::move(*decoded);
  return event;
}

ApiStatus decode_status(std::string_view body) {
  const auto masked = read_masked(body, FieldMask::everything(), {16, 1000});
  if (masked && masked->refusal.empty() && text_at(&masked->tree, "kind") == "Status") {
    return status_of(masked->tree);
  }
  ApiStatus status;
  constexpr std::size_t kShown = 200;
  status.message = body.substr(0, kShown);
  while (!status.message.empty() && static_cast<unsigned char>(status.message.back()) <= ' ') {
    status.message.pop_back();
  }
  return status;
}

std::string to_string(const ApiStatus& status) {
  std::string text = std::to_string(status.code);
  if (!status.reason.empty()) text += " " + status.reason;
  // Other people's bytes go into logs as one line.
  std::string message = status.message;
  std::replace_if(
      message.begin(), message.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f; },
      ' ');
  return message.empty() ? text : text + ": " + message;
}

Result<ListMeta> decode_list_meta(const Resource& resource, std::string_view envelope) {
  static const FieldMask kList{
      {"kind"}, {"apiVersion"}, {"metadata", "resourceVersion"}, {"metadata", "continue"}};
  const auto masked = read_masked(envelope, kList);
  if (!masked) return fail_as(masked);
  const std::string expected = std::string(resource.kind) + "List";
  if (!masked->refusal.empty() || text_at(&masked->tree, "kind") != expected) {
    return fail(ErrorCode::invalid_input,
                "found a \"" + text_at(&masked->tree, "kind").substr(0, 60) + "\", expected a " + expected);
  }
  const Value* metadata = masked->tree.find("metadata");
  ListMeta meta{text_at(metadata, "resourceVersion"), text_at(metadata, "continue")};
  if (meta.resource_version.empty()) {
    return fail(ErrorCode::invalid_input, "found a list without metadata.resourceVersion, expected one");
  }
  return meta;
}

}  // namespace postern::agent::kube
