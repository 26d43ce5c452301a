// SPDX-License-Identifier: Apache-2.0
// What both collections of metrics say to prometheus-cpp: a family of metrics is registered by its name and
// its help, and a counter that is kept elsewhere is brought up to there.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

namespace postern::agent {

// `build`: prometheus::BuildCounter, BuildGauge or BuildHistogram.
template <typename Build>
auto& family(prometheus::Registry& registry, Build build, const char* name, const char* help) {
  return build().Name(name).Help(help).Register(registry);
}

// A counter of prometheus only grows.
inline void raise_to(prometheus::Counter& counter, double value) {
  if (value > counter.Value()) counter.Increment(value - counter.Value());
}

}  // namespace postern::agent
