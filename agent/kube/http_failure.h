// SPDX-License-Identifier: Apache-2.0
// What went wrong with a transfer, in words: what was found and what was expected. Private to the client.
#pragma once

#include <curl/curl.h>

#include "agent/kube/http_client.h"

namespace postern::agent::kube {

// Of a transfer that ended with `code`; `detail` is curl's own sentence, and may be empty.
HttpFailure failure_of(CURL* easy, CURLcode code, const char* detail);

}  // namespace postern::agent::kube
