// SPDX-License-Identifier: Apache-2.0
#include "backends/native/native_backend.h"
#include "test/contract/backend_contract.h"

namespace postern::test {

const BackendCase kBackends[] = {{"NativeIPv4", make_native_backend, IpFamily::v4},
                                 {"NativeIPv6", make_native_backend, IpFamily::v6}};

INSTANTIATE_TEST_SUITE_P(Native, BackendContract, testing::ValuesIn(kBackends), name_of_case);
INSTANTIATE_TEST_SUITE_P(Native, PacketContract, testing::ValuesIn(kBackends), name_of_case);

}  // namespace postern::test
