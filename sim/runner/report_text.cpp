// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/report_text.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace postern::sim {

namespace {

constexpr std::size_t kWidest = 100;  // characters of column names before numbers take their place
constexpr std::size_t kWrongShown = 20;

struct Group {
  ProbeProtocol protocol;
  std::uint16_t port;
  friend bool operator<(const Group& a, const Group& b) {
    return a.protocol != b.protocol ? to_string(a.protocol) < to_string(b.protocol) : a.port < b.port;
  }
};

// The cells of one protocol and port.
struct Table {
  std::set<std::string> rows;
  std::set<std::string> columns;
  std::map<std::pair<std::string, std::string>, const CellResult*> cells;
};

std::map<Group, Table> group(const StepResult& step) {
  std::map<Group, Table> tables;
  for (const CellResult& cell : step.cells) {
    Table& table = tables[{cell.key.protocol, cell.key.port}];
    table.rows.insert(cell.key.from);
    table.columns.insert(cell.key.to);
    table.cells.emplace(std::pair(cell.key.from, cell.key.to), &cell);
  }
  return tables;
}

std::string title(const Group& group) {
  std::string text(to_string(group.protocol));
  if (group.protocol != ProbeProtocol::icmp) text += ' ' + std::to_string(group.port);
  return text;
}

// Leaves only rows and columns that hold a wrong cell, and of those the first `most`.
void keep_wrong(Table& table, std::size_t most) {
  std::set<std::string> rows;
  std::set<std::string> columns;
  for (const auto& [pair, cell] : table.cells) {
    if (!cell->wrong()) continue;
    rows.insert(pair.first);
    columns.insert(pair.second);
  }
  for (auto* names : {&rows, &columns}) {
    while (names->size() > most) names->erase(std::prev(names->end()));
  }
  table.rows = std::move(rows);
  table.columns = std::move(columns);
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

// How a table writes its names: whole, or by number where the columns would not fit.
class Names {
 public:
  explicit Names(const Table& table) {
    std::size_t total = 0;
    for (const auto& name : table.columns) total += name.size() + 2;
    if (total <= kWidest) return;
    std::set<std::string> all = table.rows;
    all.insert(table.columns.begin(), table.columns.end());
    for (const auto& name : all) numbers_.emplace(name, numbers_.size() + 1);
  }
  [[nodiscard]] std::string column(const std::string& name) const {
    return numbers_.empty() ? name : '[' + std::to_string(numbers_.at(name)) + ']';
  }
  [[nodiscard]] std::string row(const std::string& name) const {
    return numbers_.empty() ? name : name + " [" + std::to_string(numbers_.at(name)) + ']';
  }
  // Columns that no row explains.
  [[nodiscard]] std::string legend(const Table& table) const {
    std::string text;
    for (const auto& name : table.columns) {
      if (!numbers_.empty() && !table.rows.contains(name))
        text += "      " + column(name) + " = " + name + '\n';
    }
    return text;
  }

 private:
  std::map<std::string, std::size_t> numbers_;
};

const char* letter(CellVerdict verdict) {
  switch (verdict) {
    case CellVerdict::allow: return ".";
    case CellVerdict::deny: return "X";
    case CellVerdict::differ: return "?";
  }
  return " ";
}

std::string mark(const CellResult* cell, std::size_t width, const TextOptions& options) {
  if (cell == nullptr) return padded("-", width);
  std::string text = cell->would_deny.empty() ? letter(cell->got) : "w";
  if (!cell->wrong()) return padded(text, width);
  text = padded(text + '!', width);
  return options.colour ? "\x1b[31m" + text + "\x1b[0m" : text;
}

std::string render(const Table& table, const TextOptions& options) {
  const Names names(table);
  std::size_t row_width = 0;
  for (const auto& name : table.rows) row_width = std::max(row_width, names.row(name).size());
  std::string text = padded("", 6 + row_width + 2);
  for (const auto& name : table.columns) text += padded(names.column(name), 2) + "  ";
  text = trimmed(std::move(text));
  for (const auto& row : table.rows) {
    std::string line = "      " + padded(names.row(row), row_width) + "  ";
    for (const auto& column : table.columns) {
      const auto cell = table.cells.find({row, column});
      const std::size_t width = std::max<std::size_t>(2, names.column(column).size());
      line += mark(cell == table.cells.end() ? nullptr : cell->second, width, options) + "  ";
    }
    text += trimmed(std::move(line));
  }
  return text + names.legend(table);
}

std::string place(const Location& location) {
  if (location.line == 0) return {};
  return "  (" + location.file + ':' + std::to_string(location.line) + ')';
}

std::string wrong_cells(const StepResult& step) {
  std::string text;
  std::size_t shown = 0;
  const std::size_t wrong = step.wrong_cells();
  for (const CellResult& cell : step.cells) {
    if (!cell.wrong()) continue;
    if (shown++ == kWrongShown) break;
    text += "    " + to_string(cell.key) + ": expected " + std::string(to_string(cell.expected)) + ", got " +
            std::string(to_string(cell.got)) + place(cell.line) + '\n';
    for (const auto& line : cell.why) text += "      " + line + '\n';
  }
  if (wrong > kWrongShown) {
    text += "    and " + std::to_string(wrong - kWrongShown) +
            " more wrong cells (--json FILE lists every one)\n";
  }
  return text;
}

std::string would_deny_lines(const StepResult& step) {
  std::string text;
  std::size_t count = 0;
  for (const CellResult& cell : step.cells) {
    if (cell.would_deny.empty() || count++ >= kWrongShown) continue;
    text += "    " + to_string(cell.key) + ": would be " + cell.would_deny + '\n';
  }
  if (count > kWrongShown) {
    text += "    and " + std::to_string(count - kWrongShown) +
            " more cells that would be denied (--json FILE lists every one)\n";
  }
  return text;
}

std::string packet_lines(const StepResult& step) {
  std::string text;
  for (const PacketResult& packet : step.packets) {
    text += "    packet " + std::to_string(packet.index) + ' ' + packet.from + " -> " + packet.to + ": " +
            std::string(to_string(packet.got)) + ", reason " + packet.reason;
    text += packet.mismatches.empty() ? "\n" : " !" + place(packet.line) + '\n';
    for (const auto& line : packet.mismatches) text += "      " + line + '\n';
  }
  return text;
}

std::string count(const std::optional<std::uint64_t>& expected) {
  return expected ? std::to_string(*expected) : "any";
}

std::string replay_line(const ReplayCounts& replay) {
  return "    replay: " + std::to_string(replay.allowed) + " allowed (expected " +
         count(replay.expected_allowed) + "), " + std::to_string(replay.denied) + " denied (expected " +
         count(replay.expected_denied) + ")" + (replay.wrong() ? " !\n" : "\n");
}

std::string headline(const StepResult& step) {
  const std::size_t wrong = step.wrong_cells();
  std::string text = "  step \"" + step.name + "\": " + std::to_string(step.cells.size()) + " cells";
  if (wrong != 0) text += ", " + std::to_string(wrong) + " wrong";
  if (!step.packets.empty()) text += ", " + std::to_string(step.packets.size()) + " packets";
  if (step.wrong_packets() != 0) text += ", " + std::to_string(step.wrong_packets()) + " wrong";
  return text + '\n';
}

template <typename Holds>
bool any_cell(const ScenarioResult& result, const Holds& holds) {
  return std::any_of(result.steps.begin(), result.steps.end(), [&](const StepResult& step) {
    return std::any_of(step.cells.begin(), step.cells.end(), holds);
  });
}

}  // namespace

std::string truth_tables(const StepResult& step, const TextOptions& options) {
  std::string text;
  for (auto& [group, table] : group(step)) {
    text += "    " + title(group);
    if (table.columns.size() > options.max_columns) {
      keep_wrong(table, options.max_columns);
      text += table.rows.empty() ? ": " + std::to_string(table.cells.size()) + " cells, all as expected"
                                 : " (only where wrong, at most " + std::to_string(options.max_columns) +
                                       " rows and columns)";
    }
    text += '\n';
    if (!table.rows.empty()) text += render(table, options);
  }
  return text;
}

std::string text_report(const ScenarioResult& result, const TextOptions& options) {
  const bool passed = result.passed();
  std::string text = passed ? "PASS  " : "FAIL  ";
  if (options.colour) text = (passed ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m";
  text += result.name + "  (" + result.file + ')' +
          (options.backend.empty() ? "" : "  on " + options.backend) + '\n';
  if (result.cells() != 0) {
    text += std::string("  from \\ to: . allow, X deny, ") +
            (any_cell(result, [](const CellResult& cell) { return cell.got == CellVerdict::differ; })
                 ? "? backends or families differ, "
                 : "") +
            (any_cell(result, [](const CellResult& cell) { return !cell.would_deny.empty(); })
                 ? "w allow, would be denied if what is in audit were enforced, "
                 : "") +
            "! not as expected, - not probed\n";
  }
  for (const StepResult& step : result.steps) {
    text += headline(step) + truth_tables(step, options) + wrong_cells(step) + would_deny_lines(step);
    text += packet_lines(step);
    if (step.replay) text += replay_line(*step.replay);
  }
  return text;
}

}  // namespace postern::sim
