// SPDX-License-Identifier: Apache-2.0
// Lists as sets: sorted, each value once.
#pragma once

#include <algorithm>
#include <vector>

namespace postern {

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace postern
