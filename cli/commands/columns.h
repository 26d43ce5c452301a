// SPDX-License-Identifier: Apache-2.0
// Text in columns, as wide as their widest cell.
#pragma once

#include <string>
#include <vector>

namespace postern::cli {

// A line for each row, two blanks between columns, none at the end of a line.
std::string in_columns(const std::vector<std::vector<std::string>>& rows);

// "a, b, c".
std::string joined(const std::vector<std::string>& parts, const char* between = ", ");

}  // namespace postern::cli
