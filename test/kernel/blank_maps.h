// SPDX-License-Identifier: Apache-2.0
// What a program's maps hold made as it was when they were made: so that tests can use a program again,
// which to load takes the kernel half a second of checking.
#pragma once

#include "engine/base/result.h"

namespace postern::test {

// Every map that the program uses: arrays become zeros, hashes empty. What is in a ring of events is the
// caller's to read. Nothing may run the program meanwhile.
Result<void> blank_maps_of(int program);

}  // namespace postern::test
