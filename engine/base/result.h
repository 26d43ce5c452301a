// SPDX-License-Identifier: Apache-2.0
// Errors are values: every function outside the datapath that can fail returns a Result, and no
// exception crosses a module. A message says where, what was found, and what was expected.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace postern {

enum class ErrorCode {
  invalid_input,  // what a user wrote is wrong; `location` says where
  unsupported,    // valid, but not supported by this version or machine
  not_found,
  permission,     // rights are missing; the message names the command that would work
  table_full,     // an update was refused whole; the previous policy stays in force
  io,
  internal,
};

// A place in a text. Line and column count from 1; 0 = unknown.
struct Location {
  std::string file;
  std::size_t line = 0;
  std::size_t column = 0;
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  Location location{};

  // "web.yaml:14:9: endPort 79 is below port 80"; without a location the message alone.
  [[nodiscard]] std::string to_string() const {
    if (location.file.empty()) return message;
    std::string text = location.file;
    if (location.line != 0) {
      text += ':' + std::to_string(location.line);
      if (location.column != 0) text += ':' + std::to_string(location.column);
    }
    return text + ": " + message;
  }
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, Location location = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(location)});
}

// Hands on the error of another Result.
template <typename T>
tl::unexpected<Error> fail_as(const Result<T>& result) {
  return tl::unexpected<Error>(result.error());
}

}  // namespace postern
