// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/scenario_reader.h"

#include <algorithm>

#include "engine/base/nearest_names.h"
#include "engine/compile/table_sizes.h"
#include "engine/manifest/kinds.h"
#include "files/manifest_files.h"
#include "sim/scenario/parts.h"

namespace postern::sim {

namespace {

constexpr std::string_view kApiVersion = "postern.dev/v1alpha1";

// Reads one Scenario document; errors are collected in `errors_`.
class ScenarioBuilder {
 public:
  ScenarioBuilder(std::string file, const ScenarioReadOptions& options)
      : file_(std::move(file)), options_(options), report_{file_, errors_} {
    scenario_.file = file_;
  }

  void read(const Value& document);
  std::vector<Error>& errors() { return errors_; }
  Scenario& scenario() { return scenario_; }
  const Report& report() { return report_; }

 private:
  void read_metadata(const Value& document);
  void one_line(const Value& name);
  void read_spec(const Value& spec);
  void read_limits(const Value& spec);
  void read_manifests(const Value& spec);
  void read_step(const Value& step);
  void read_deletes(const Value& step, Step& read);
  void read_packets(const Value& step, Step& read);
  void read_replay(const Value& step, Step& read);
  void take_over(manifest::Manifest& manifest, std::vector<manifest::Object>& objects);
  [[nodiscard]] std::string beside_file(const std::string& path) const;

  std::string file_;
  const ScenarioReadOptions& options_;
  std::vector<Error> errors_;
  Report report_;
  Scenario scenario_;
};

void ScenarioBuilder::read(const Value& document) {
  only_keys(report_, document, "a scenario", {"apiVersion", "kind", "metadata", "spec"});
  if (required(report_, document, "a scenario", "apiVersion") != nullptr) {
    word_at(report_, &document, "apiVersion", {kApiVersion});
  }
  read_metadata(document);
  if (required(report_, document, "a scenario", "spec") == nullptr) return;
  if (const Value* spec = mapping_at(report_, &document, "spec")) read_spec(*spec);
}

void ScenarioBuilder::read_metadata(const Value& document) {
  if (required(report_, document, "a scenario", "metadata") == nullptr) return;
  const Value* metadata = mapping_at(report_, &document, "metadata");
  if (metadata == nullptr) return;
  only_keys(report_, *metadata, "metadata", {"name", "labels"});
  required(report_, *metadata, "metadata", "name");
  scenario_.name = string_at(report_, metadata, "name").value_or("");
  if (const Value* name = metadata->find("name"); name != nullptr && name->kind == manifest::Kind::string) {
    if (name->text.empty()) report_.unexpected(*name, "name", "a name");
    one_line(*name);
  }
  scenario_.labels = strings_at(report_, metadata, "labels");
}

// Names are printed into reports, of which each line means something.
void ScenarioBuilder::one_line(const Value& name) {
  if (std::any_of(name.text.begin(), name.text.end(), manifest::is_control)) {
    report_.unexpected(name, "name", "a name without control characters");
  }
}

void ScenarioBuilder::read_spec(const Value& spec) {
  only_keys(report_, spec, "spec",
            {"description", "ipFamily", "enforcement", "serviceIpBlocks", "establishedFlows", "nodeConntrack",
             "midflowGrace", "limits", "manifests", "steps"});
  scenario_.description = string_at(report_, &spec, "description").value_or("");
  if (const auto family = word_at(report_, &spec, "ipFamily", {"IPv4", "IPv6", "DualStack"}, 0)) {
    scenario_.family = static_cast<ScenarioFamily>(*family);
  }
  scenario_.strict = word_at(report_, &spec, "enforcement", {"standard", "strict"}, 0) == std::size_t{1};
  if (const auto word = word_at(report_, &spec, "serviceIpBlocks", {"meaning", "compat"})) {
    scenario_.service_ip_blocks = static_cast<ServiceIpBlocks>(*word);
  }
  if (word_at(report_, &spec, "establishedFlows", {"reevaluate", "keep"}, 0) == std::size_t{1}) {
    scenario_.established_flows = EstablishedFlows::keep;
  }
  scenario_.node_conntrack = boolean_at(report_, &spec, "nodeConntrack").value_or(true);
  scenario_.midflow_grace = duration_at(report_, &spec, "midflowGrace").value_or(Duration{});
  read_limits(spec);
  read_manifests(spec);
  if (required(report_, spec, "spec", "steps") == nullptr) return;
  const Value* steps = spec.find("steps");
  if (steps->kind == manifest::Kind::sequence && steps->items.empty()) {
    report_.unexpected(*steps, "steps", "at least one step");
  }
  for (const Value* step : mappings_at(report_, &spec, "steps")) read_step(*step);
}

void ScenarioBuilder::read_limits(const Value& spec) {
  const Value* limits = mapping_at(report_, &spec, "limits");
  if (limits == nullptr) return;
  only_keys(report_, *limits, "limits", {"conntrack", "fragments", "peers"});
  const auto room = [&](const char* key, std::string_view table) {
    const auto entries = number_at(report_, limits, key, 1, std::int64_t{1} << 26);
    if (entries) set_entries(scenario_.limits, table, static_cast<std::uint32_t>(*entries));
    return entries.has_value();
  };
  room("conntrack", kConntrackTable);
  room("fragments", kFragmentTable);
  if (room("peers", name_of(TableId::hosts))) {
    // What is left over where a bucket is full; in the proportion of the usual sizes.
    const std::uint32_t buckets = scenario_.limits.of(TableId::hosts);
    set_entries(scenario_.limits, name_of(TableId::hosts_far), std::max(buckets / 2, 4u));
  }
}

std::string ScenarioBuilder::beside_file(const std::string& path) const {
  const auto slash = file_.rfind('/');
  if (slash == std::string::npos || path.substr(0, 1) == "/") return path;
  return file_.substr(0, slash + 1) + path;
}

void ScenarioBuilder::take_over(manifest::Manifest& manifest, std::vector<manifest::Object>& objects) {
  for (auto& object : manifest.objects) objects.push_back(std::move(object));
  for (const auto& entry : manifest.skipped_kinds) scenario_.skipped_kinds[entry.first] += entry.second;
  for (const auto& policy : manifest.unsupported) ++scenario_.skipped_kinds[policy.kind];
}

void ScenarioBuilder::read_manifests(const Value& spec) {
  for (const Value* entry : list_at(report_, &spec, "manifests")) {
    if (entry->kind != manifest::Kind::string || entry->text.empty()) {
      report_.unexpected(*entry, "manifests", "the path of a file");
      continue;
    }
    const std::string path = beside_file(entry->text);
    const auto text = options_.load ? options_.load(path) : load_text_file(path);
    if (!text) {
      report_.error(*entry, "manifests: " + text.error().to_string(), text.error().code);
      continue;
    }
    auto read = manifest::read_manifest(*text, path, {options_.ignore_unsupported});
    if (read) {
      take_over(*read, scenario_.manifests);
    } else {
      for (auto& error : read.error()) errors_.push_back(std::move(error));
    }
  }
}

void ScenarioBuilder::read_deletes(const Value& step, Step& read) {
  for (const Value* entry : mappings_at(report_, &step, "delete")) {
    only_keys(report_, *entry, "a delete", {"kind", "name", "namespace"});
    required(report_, *entry, "a delete", "kind");
    required(report_, *entry, "a delete", "name");
    const auto kind = string_at(report_, entry, "kind");
    const auto name = string_at(report_, entry, "name");
    const auto ns = string_at(report_, entry, "namespace");
    if (!kind || !name) continue;
    const auto* row = manifest::find_kind(*kind);
    if (row == nullptr) {
      std::vector<std::string> known;
      for (const auto& each : manifest::known_kinds()) known.emplace_back(each.name());
      report_.unexpected(*entry->find("kind"), "kind",
                         "a kind that policy depends on" + did_you_mean(*kind, known));
    } else if (!row->namespaced && ns) {
      report_.unexpected(*entry->find("namespace"), "namespace", "none for a " + *kind);
    } else {
      const std::string where = !row->namespaced ? "" : ns && !ns->empty() ? *ns : "default";
      read.deletes.push_back({*kind, where, *name, report_.at(*entry)});
    }
  }
}

void ScenarioBuilder::read_packets(const Value& step, Step& read) {
  Duration before{};
  for (const Value* entry : mappings_at(report_, &step, "packets")) {
    auto packet = read_packet(report_, *entry, scenario_.family);
    if (!packet) continue;
    if (packet->at < before) {
      const Value* at = entry->find("at");
      const std::string expected = "a time that is not before the packet above";
      if (at != nullptr) report_.unexpected(*at, "at", expected);
      if (at == nullptr) report_.error(*entry, "at: found none, which is 0, expected " + expected);
    }
    before = packet->at;
    read.packets.push_back(std::move(*packet));
  }
}

void ScenarioBuilder::read_replay(const Value& step, Step& read) {
  const Value* replay = mapping_at(report_, &step, "replay");
  if (replay == nullptr) return;
  only_keys(report_, *replay, "replay", {"capture", "vantage", "expect"});
  ReplayLine line;
  line.location = report_.at(*replay);
  required(report_, *replay, "replay", "capture");
  if (const auto capture = string_at(report_, replay, "capture")) {
    if (capture->empty()) report_.unexpected(*replay->find("capture"), "capture", "the path of a file");
    line.capture = beside_file(*capture);
  }
  line.vantage = "pod-veth";
  word_at(report_, replay, "vantage", {"pod-veth"}, 0);
  required(report_, *replay, "replay", "expect");
  if (const Value* expect = mapping_at(report_, replay, "expect")) {
    only_keys(report_, *expect, "expect", {"allowed", "denied"});
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    if (const auto allowed = number_at(report_, expect, "allowed", 0, kMost)) {
      line.allowed = static_cast<std::uint64_t>(*allowed);
    }
    if (const auto denied = number_at(report_, expect, "denied", 0, kMost)) {
      line.denied = static_cast<std::uint64_t>(*denied);
    }
    if (expect->find("allowed") == nullptr && expect->find("denied") == nullptr) {
      report_.error(*expect, "expect compares nothing, expected allowed or denied");
    }
  }
  read.replay = std::move(line);
}

void ScenarioBuilder::read_step(const Value& step) {
  only_keys(report_, step, "a step", {"name", "delete", "apply", "advance", "probes", "packets", "replay"});
  Step read;
  read.location = report_.at(step);
  read.name =
      string_at(report_, &step, "name").value_or("step " + std::to_string(scenario_.steps.size() + 1));
  if (const Value* name = step.find("name")) one_line(*name);
  read_deletes(step, read);
  manifest::ObjectReader objects(file_, {options_.ignore_unsupported});
  for (const Value* object : list_at(report_, &step, "apply")) objects.read(*object);
  take_over(objects.manifest(), read.applies);
  for (auto& error : objects.errors()) errors_.push_back(std::move(error));
  read.advance = duration_at(report_, &step, "advance").value_or(Duration{});
  for (const Value* probe : mappings_at(report_, &step, "probes")) {
    if (auto line = read_probe(report_, *probe, scenario_.family)) read.probes.push_back(std::move(*line));
  }
  read_packets(step, read);
  read_replay(step, read);
  scenario_.steps.push_back(std::move(read));
}

std::string kind_of(const Value& document) {
  const Value* kind = document.find("kind");
  return kind == nullptr || kind->kind != manifest::Kind::string ? describe(document) : kind->text;
}

// Ours by its apiVersion, whatever its kind says: a misspelt kind must not be passed over in silence.
bool is_ours(const Value& document) {
  const Value* version = document.find("apiVersion");
  return version != nullptr && version->text.rfind("postern.dev/", 0) == 0;
}

// What to say of a document that is no scenario where one was expected.
Error no_scenario(const std::string& file, const Value& document) {
  const Value* kind = document.find("kind");
  const Value& place = kind == nullptr ? document : *kind;
  const std::string found = kind == nullptr ? "nothing" : describe(*kind);
  const std::string hint = kind == nullptr ? "" : did_you_mean(kind->text, {"Scenario"});
  return {ErrorCode::invalid_input,
          "kind: found " + found + ", expected Scenario" + hint,
          {file, place.line, place.column}};
}

// Takes the documents of one file, in order.
class FileReader {
 public:
  FileReader(const std::string& file, const ScenarioReadOptions& options)
      : file_(file), builder_(file, options) {
    result_.file = file;
  }

  void document(const Value& document) {
    const bool scenario = kind_of(document) == "Scenario";
    if (++documents_ == 1) {
      result_.found_kind = kind_of(document);
      result_.is_scenario = scenario || is_ours(document);
      if (!scenario) result_.no_scenario = no_scenario(file_, document);
      if (!scenario && is_ours(document)) builder_.errors().push_back(*result_.no_scenario);
      if (scenario) builder_.read(document);
    } else if (result_.is_scenario && !told_) {
      told_ = true;
      builder_.report().error(
          document, "found a second document (" + kind_of(document) + "), expected one scenario in a file");
    } else if (!result_.is_scenario && scenario) {
      result_.is_scenario = true;
      told_ = true;
      builder_.report().error(document, "found a scenario after another document (" + result_.found_kind +
                                            "), expected one scenario in a file");
    }
  }

  ScenarioFile finish(const Result<void>& parsed) {
    if (parsed && documents_ == 0) {
      result_.found_kind = "nothing";
      result_.is_scenario = false;
      result_.no_scenario = Error{ErrorCode::invalid_input, "found nothing, expected a Scenario", {file_, 0, 0}};
    }
    if (!result_.is_scenario) return std::move(result_);
    result_.no_scenario.reset();
    if (!parsed) builder_.errors().push_back(parsed.error());
    result_.errors = std::move(builder_.errors());
    if (result_.errors.empty()) result_.scenario = std::move(builder_.scenario());
    return std::move(result_);
  }

 private:
  std::string file_;
  ScenarioBuilder builder_;
  ScenarioFile result_;
  std::size_t documents_ = 0;
  bool told_ = false;  // that there is more than one document
};

}  // namespace

ScenarioFile read_scenario(std::string_view text, const std::string& file,
                           const ScenarioReadOptions& options) {
  FileReader reader(file, options);
  const auto parsed =
      manifest::parse_documents(text, file, [&](const Value& document) { reader.document(document); });
  return reader.finish(parsed);
}

ScenarioFile read_scenario_file(const std::string& path, const ScenarioReadOptions& options) {
  const auto text = load_text_file(path);
  if (text) return read_scenario(*text, path, options);
  ScenarioFile result;
  result.file = path;
  result.errors.push_back(text.error());
  return result;
}

Result<std::vector<std::string>> list_scenario_files(const std::string& path) {
  return list_files(path, {".yaml"});
}

}  // namespace postern::sim
