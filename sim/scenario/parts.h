// SPDX-License-Identifier: Apache-2.0
// Readers of the parts of a scenario file. Private to sim/scenario. Each reports what is wrong and
// gives back nothing, or what it could read; a file with errors is not used.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/manifest/fields.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

using manifest::Report;
using manifest::Value;

// Reports every key of a mapping that is not in the list. `part` names the mapping: "a probe".
void only_keys(const Report& report, const Value& mapping, std::string_view part,
               std::initializer_list<std::string_view> keys);
// The value of a key, reported when it is missing.
const Value* required(const Report& report, const Value& mapping, std::string_view part,
                      std::string_view key);

// The index of the word in the list; reported when it is none of them. `fallback` when absent.
std::optional<std::size_t> word_at(const Report& report, const Value* parent, std::string_view key,
                                   std::initializer_list<std::string_view> words,
                                   std::optional<std::size_t> fallback = std::nullopt);
// A whole number from `lo` to `hi`; none when absent or reported.
std::optional<std::int64_t> number_at(const Report& report, const Value* parent, std::string_view key,
                                      std::int64_t lo, std::int64_t hi);
std::optional<Duration> duration_at(const Report& report, const Value* parent, std::string_view key);
void unsupported(const Report& report, const Value& place, std::string_view what);
// "a, b or c"
std::string join(std::initializer_list<std::string_view> words);
// Reports an address that is not of the scenario's family; false then.
bool check_family(const Report& report, const Value& place, std::string_view name, const IpAddress& address,
                  ScenarioFamily family);

// `side` is "from" or "to"; Services stand only in `to`.
std::optional<End> read_end(const Report& report, const Value& mapping, std::string_view side,
                            ScenarioFamily family);

std::optional<ProbeLine> read_probe(const Report& report, const Value& probe, ScenarioFamily family);
std::optional<PacketLine> read_packet(const Report& report, const Value& packet, ScenarioFamily family);

}  // namespace postern::sim
