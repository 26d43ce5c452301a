// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/reader.h"

#include <algorithm>
#include <array>

#include "engine/manifest/kinds.h"

namespace postern::manifest {

namespace {

// Groups of Kubernetes itself. A kind of ours under one of them is a wrong apiVersion, under any
// other it is somebody else's kind of the same name.
bool built_in_group(std::string_view group) {
  static constexpr std::array<std::string_view, 7> kGroups{
      "", "apps", "batch", "extensions", "policy", "networking.k8s.io", "discovery.k8s.io"};
  return std::find(kGroups.begin(), kGroups.end(), group) != kGroups.end();
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Kinds of other projects, and newer ones of Kubernetes, that decide which packets pass.
bool decides_packets(std::string_view kind) {
  static constexpr std::array<std::string_view, 3> kOthers{"PolicyEndpoint", "ClusterPolicyEndpoint",
                                                           "EgressFirewall"};
  return kind.find("NetworkPolicy") != std::string_view::npos ||
         std::find(kOthers.begin(), kOthers.end(), kind) != kOthers.end();
}

// Policy kinds that are to come.
bool planned(std::string_view group, std::string_view kind) {
  return group == "networking.k8s.aws" && kind == "ApplicationNetworkPolicy";
}

// What an object says of itself, whether it may or not.
std::string text_of_metadata(const Value& object, std::string_view field) {
  const Value* metadata = object.find("metadata");
  const Value* value = metadata == nullptr ? nullptr : metadata->find(field);
  return value == nullptr || !value->is_scalar() ? std::string() : value->text;
}

std::string name_of(const Value& object) {
  const std::string name = text_of_metadata(object, "name");
  const std::string ns = text_of_metadata(object, "namespace");
  return (ns.empty() ? "" : ns + "/") + (name.empty() ? "(unnamed)" : name);
}

ObjectRef ref_of(const Value& object, const KindRow& row, Location location) {
  ObjectRef ref{std::string(row.name()), "", text_of_metadata(object, "name"), std::move(location)};
  if (row.namespaced) ref.ns = text_of_metadata(object, "namespace");
  if (row.namespaced && ref.ns.empty()) ref.ns = "default";
  return ref;
}

}  // namespace

void ObjectReader::leave_out_policy(const Value& object, const std::string& api_version,
                                    const std::string& kind) {
  const Report report{file_, errors_, options_.live};
  if (options_.ignore_unsupported) {
    manifest_.unsupported.push_back({report.at(object), kind, api_version, name_of(object)});
    return;
  }
  const std::size_t errors_before = errors_.size();
  report.error(
      object,
      kind + " " + name_of(object) + " (" + api_version + ") is not supported" +
          (planned(group_of(api_version), kind) ? " yet" : "") +
          ", expected networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts",
      ErrorCode::unsupported);
  // Where none of its kind is ever held, nothing is missing without it. A kind of ours may be a slip of the pen in
  // the group of one that is held.
  const KindRow* row = find_kind(kind);
  if (row == nullptr) {
    ++errors_of_refused_;
  } else {
    refuse(ref_of(object, *row, report.at(object)), errors_before);
  }
}

void ObjectReader::refuse(ObjectRef object, std::size_t first_error) {
  if (object.name.empty() || errors_.size() == first_error) return;
  refused_.push_back({std::move(object), first_error, errors_.size() - first_error});
  errors_of_refused_ += errors_.size() - first_error;
}

void ObjectReader::read_list(const Value& list, const std::string& api_version,
                             const std::string& item_kind) {
  const Report report{file_, errors_, options_.live};
  for (const Value* item : list_at(report, &list, "items")) {
    if (item->is_null()) continue;
    if (item_kind.empty() || item->kind != Kind::mapping || item->find("kind") != nullptr) {
      read(*item);
      continue;
    }
    // Elements of a PodList need not say that they are Pods.
    Value typed = *item;
    const auto add = [&](const char* key, const std::string& text) {
      if (typed.find(key) != nullptr) return;
      typed.items.push_back({Kind::string, item->line, item->column, key, {}});
      typed.items.push_back({Kind::string, item->line, item->column, text, {}});
    };
    add("kind", item_kind);
    add("apiVersion", api_version);
    read(typed);
  }
}

void ObjectReader::read_typed(const Value& object, const std::string& api_version, const std::string& kind) {
  const Report report{file_, errors_, options_.live};
  const std::string group(group_of(api_version));
  const KindRow* row = find_kind(kind, group);
  const bool ours = row != nullptr && (built_in_group(group) || group == group_of(row->api_version));
  if (!ours) {
    if (decides_packets(kind)) return leave_out_policy(object, api_version, kind);
    ++manifest_.skipped_kinds[row == nullptr ? kind : kind + "." + group];
    return;
  }
  const std::size_t errors_before = errors_.size();
  if (api_version != row->api_version) {
    report.unexpected(*object.find("apiVersion"), "apiVersion",
                      std::string(row->api_version) + " for a " + kind);
    return refuse(ref_of(object, *row, report.at(object)), errors_before);
  }
  Metadata metadata = read_metadata(report, object, row->namespaced);
  const NamespacedName key = metadata.key;
  auto value = row->read(report, object, std::move(metadata));
  std::string name(row->name());
  if (errors_.size() != errors_before) {
    return refuse({std::move(name), key.ns, key.name, report.at(object)}, errors_before);
  }
  manifest_.objects.push_back({report.at(object), std::move(name), std::move(value)});
}

void ObjectReader::read(const Value& object) {
  const Report report{file_, errors_, options_.live};
  if (object.kind != Kind::mapping) {
    report.unexpected(object, "object", "a mapping with apiVersion and kind");
    return;
  }
  const auto kind = string_at(report, &object, "kind");
  const auto api_version = string_at(report, &object, "apiVersion");
  if (!kind && object.find("kind") == nullptr) {
    report.error(object, "kind: found nothing, expected a kind like Pod");
  }
  if (!api_version && object.find("apiVersion") == nullptr) {
    report.error(object, "apiVersion: found nothing, expected one like v1");
  }
  if (!kind || !api_version) return;
  if (ends_with(*kind, "List")) {
    const std::string item_kind = kind->substr(0, kind->size() - 4);
    // An empty list has no items to be known by.
    const bool known = item_kind.empty() || find_kind(item_kind) != nullptr || decides_packets(item_kind);
    if (known || object.find("items") != nullptr) return read_list(object, *api_version, item_kind);
  }
  read_typed(object, *api_version, *kind);
}

PartialManifest read_what_is_right(std::string_view text, const std::string& file, const ReadOptions& options) {
  ObjectReader reader(file, options);
  const auto parsed = parse_documents(text, file, [&](const Value& document) { reader.read(document); });
  if (!parsed) reader.errors().push_back(parsed.error());
  PartialManifest partial;
  // Beyond the most errors that are kept, what is wrong can no longer be told from what is right.
  partial.incomplete =
      reader.errors().size() > reader.errors_of_refused() || reader.errors().size() >= kMaxErrors;
  partial.manifest = std::move(reader.manifest());
  partial.errors = std::move(reader.errors());
  partial.refused = std::move(reader.refused());
  return partial;
}

tl::expected<Manifest, Errors> read_manifest(std::string_view text, const std::string& file,
                                             const ReadOptions& options) {
  auto partial = read_what_is_right(text, file, options);
  if (!partial.errors.empty()) return tl::unexpected<Errors>(std::move(partial.errors));
  return std::move(partial.manifest);
}

}  // namespace postern::manifest
