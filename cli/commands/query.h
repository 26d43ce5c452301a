// SPDX-License-Identifier: Apache-2.0
// The traffic that a command line asks about, as words, and looked up in a cluster: what explain and record
// share.
#pragma once

#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/explain/explain.h"

namespace postern::cli {

struct QueryText {
  std::string from;
  std::string to;
  std::string port;              // number, or name of a port of the destination; empty: none
  std::string protocol = "TCP";  // TCP, UDP, SCTP, ICMP or a number
  bool strict = false;           // R25
};

// Errors: an end that does not exist, with the nearest names; a port that is missing, wrong or too many.
Result<ExplainQuery> query_of(const ClusterSnapshot& cluster, const QueryText& text);

// The query with the ends' addresses of one family; none: an end has no such address.
std::optional<ExplainQuery> in_family(const ClusterSnapshot& cluster, ExplainQuery query, IpFamily family);

}  // namespace postern::cli
