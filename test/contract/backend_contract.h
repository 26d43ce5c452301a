// SPDX-License-Identifier: Apache-2.0
// The contract that every backend keeps. Include it in one source of a test program and say which
// backends it holds for:
//
//   INSTANTIATE_TEST_SUITE_P(Native, BackendContract, testing::ValuesIn(kBackends), name_of_case);
//   INSTANTIATE_TEST_SUITE_P(Native, PacketContract, testing::ValuesIn(kBackends), name_of_case);
//
// with kBackends an array of BackendCase, one for each family, inside namespace postern::test.
#pragma once

#include "test/contract/connections_contract.h"
#include "test/contract/tcp_contract.h"
#include "test/contract/events_contract.h"
#include "test/contract/policy_contract.h"
#include "test/contract/tables_contract.h"
