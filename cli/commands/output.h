// SPDX-License-Identifier: Apache-2.0
// What every command says in the same way: a refusal, a file of results, the end of its output.
#pragma once

#include <span>
#include <string>

#include "engine/base/result.h"

namespace postern::cli {

// A line on standard error: "postern: MESSAGE".
void note(const std::string& message);

// Says on standard error why the command cannot go on. Returns its exit status, 2.
int refuse(const std::string& message);

// Writes a file anew; an empty path is no file. On failure says why and returns false.
bool write_file(const std::string& path, const std::string& text);

// Errors: the output is one of the files that the command reads, however it is spelt. An empty path and
// "-" are no file.
Result<void> check_output(const std::string& output, std::span<const std::string> inputs);

// Whether two paths name one file, also one that is not there yet.
bool same_file(const std::string& a, const std::string& b);

// Whether a descriptor is a terminal that takes colours and lines written over: TERM=dumb and a
// NO_COLOR that is set say that it does not.
bool takes_escapes(int descriptor);

// The exit status, once all of standard output is out: 2 if it could not be written, else `status`.
int close_output(int status);

}  // namespace postern::cli
