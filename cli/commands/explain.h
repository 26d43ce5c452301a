// SPDX-License-Identifier: Apache-2.0
// `postern explain`: why one connection passes or not, from manifests alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern::cli {

struct ExplainOptions {
  std::vector<std::string> manifests;  // files and folders
  std::string from;
  std::string to;
  std::string port;              // number or name of a port of the destination; empty: none
  std::string family;            // "IPv4" or "IPv6"; empty: IPv4 where both ends have it
  std::string protocol = "TCP";  // TCP, UDP, SCTP, ICMP
  bool strict = false;           // R25
  bool ignore_unsupported = false;
  bool json = false;  // JSON on standard output instead of words
};

// Exit status: 0 allowed, 1 denied, 2 something could not be read or found.
int run_explain(const ExplainOptions& options);

}  // namespace postern::cli
