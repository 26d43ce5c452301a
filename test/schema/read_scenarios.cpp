// SPDX-License-Identifier: Apache-2.0
// What the reader alone says of scenario files, named on standard input one a line: the same lines,
// each with "accepted", "refused" or "other" (no scenario), and its messages, all parted by tabs.
#include <iostream>
#include <string>

#include "sim/scenario/scenario_reader.h"

int main() {
  std::string path;
  while (std::getline(std::cin, path)) {
    const auto file = postern::sim::read_scenario_file(path);
    std::cout << path << '\t' << (file.scenario ? "accepted" : file.is_scenario ? "refused" : "other");
    for (const auto& error : file.errors) std::cout << '\t' << error.message;
    std::cout << '\n';
  }
  return 0;
}
