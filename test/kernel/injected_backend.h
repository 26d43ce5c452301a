// SPDX-License-Identifier: Apache-2.0
// The kernel's datapath as a backend that judges single packets: the test variant of the program
// (tc_injected.bpf.c), run by BPF_PROG_TEST_RUN with a time of the caller's choice. Interfaces that a
// test names are made on demand in the current network namespace.
#pragma once

#include <memory>

#include "engine/enforce/backend.h"

namespace postern::test {

Result<std::unique_ptr<Backend>> make_injected_tc_backend(const TableSizes& sizes);

// The same over the programs of the one before it, as soon as that is gone: nothing is attached, and every map is as
// it was when it was made. To check the programs takes the kernel half a second of each test otherwise.
Result<std::unique_ptr<Backend>> make_injected_tc_backend_used_again(const TableSizes& sizes);

}  // namespace postern::test
