// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/resource_sink.h"

namespace postern::agent::kube {

std::string_view to_string(WatchState state) {
  switch (state) {
    case WatchState::starting:
      return "starting";
    case WatchState::synced:
      return "synced";
    case WatchState::absent:
      return "absent";
    case WatchState::forbidden:
      return "forbidden";
    case WatchState::failing:
      return "failing";
  }
  return "unknown";
}

}  // namespace postern::agent::kube
