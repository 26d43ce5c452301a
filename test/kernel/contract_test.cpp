// SPDX-License-Identifier: Apache-2.0
// The contract of backends, kept by the kernel, with single packets injected into its programs. Tests of tables have a
// backend that was never used; those of packets share one, and begin with empty tables.
#include "test/contract/backend_contract.h"
#include "test/kernel/injected_backend.h"

namespace postern::test {

const BackendCase kBackends[] = {{"InjectedIPv4", make_injected_tc_backend, IpFamily::v4},
                                 {"InjectedIPv6", make_injected_tc_backend, IpFamily::v6}};

const BackendCase kUsedAgain[] = {{"InjectedIPv4", make_injected_tc_backend_used_again, IpFamily::v4},
                                  {"InjectedIPv6", make_injected_tc_backend_used_again, IpFamily::v6}};

INSTANTIATE_TEST_SUITE_P(Tc, BackendContract, testing::ValuesIn(kBackends), name_of_case);
INSTANTIATE_TEST_SUITE_P(Tc, PacketContract, testing::ValuesIn(kUsedAgain), name_of_case);

}  // namespace postern::test
