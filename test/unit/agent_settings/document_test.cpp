// SPDX-License-Identifier: Apache-2.0
// docs/agent.md has a row for every setting, in the order of --help, with its default, and for nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "agent/settings/setting_table.h"

namespace postern::agent::document_test {
namespace {

struct Row {
  std::string flag;
  std::string initial;
  std::string meaning;
};

std::string cell(std::istringstream& line) {
  std::string text;
  std::getline(line, text, '|');
  const auto first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<Row> rows_of_document() {
  std::ifstream document("docs/agent.md");
  EXPECT_TRUE(document) << "run from the top of the tree";
  std::vector<Row> rows;
  for (std::string line; std::getline(document, line);) {
    if (!line.starts_with("| `--")) continue;
    std::istringstream cells(line.substr(1));
    Row row;
    row.flag = cell(cells);
    row.initial = cell(cells);
    std::getline(cells, row.meaning, '\0');
    rows.push_back(row);
  }
  return rows;
}

TEST(AgentDocument, has_a_row_for_every_setting_with_its_default_and_no_other) {
  const std::vector<Row> rows = rows_of_document();
  const auto table = setting_table();
  for (std::size_t i = 0; i < std::max(rows.size(), table.size()); ++i) {
    ASSERT_LT(i, rows.size()) << "docs/agent.md has no row for --" << table[i].name;
    ASSERT_LT(i, table.size()) << "docs/agent.md has a row for " << rows[i].flag;
    SCOPED_TRACE(table[i].name);
    EXPECT_EQ(rows[i].flag, "`" + table[i].flag() + "`");
    const std::string initial = table[i].default_text;
    EXPECT_EQ(rows[i].initial, initial.empty() ? "" : "`" + initial + "`");
    if (table[i].known_variable != nullptr) {
      EXPECT_NE(rows[i].meaning.find("`" + std::string(table[i].known_variable) + "`"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace postern::agent::document_test
