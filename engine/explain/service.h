// SPDX-License-Identifier: Apache-2.0
// Traffic to a Service: each backend is asked for at its own target port, and the Service says what
// they say together (R7).
#pragma once

#include "engine/explain/end_judge.h"

namespace postern::explain_detail {

// The first by name that has this ClusterIP; null: nobody's.
const Service* service_of(const ClusterSnapshot& cluster, const IpAddress& address);

// `traffic.to` is the ClusterIP.
void explain_service(const Traffic& traffic, Explanation& explanation);

}  // namespace postern::explain_detail
