# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and sanitizers: one interface target that every module links.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

option(POSTERN_BUILD_TESTS "Build the test suites" ON)
option(POSTERN_BUILD_UNIT_TESTS "Build the suites of test/unit" ON)
option(POSTERN_BUILD_KERNEL_TESTS "Build the suites that load BPF programs" ON)
option(POSTERN_BUILD_BENCH "Build the benchmarks" ON)
option(POSTERN_BUILD_GRPC "Serve the CNI plug-in over gRPC; without it the agent refuses --grpc-socket" ON)
option(POSTERN_BUILD_FUZZ "Build the fuzzers (clang only)" OFF)
set(POSTERN_MERGE_SOURCES "" CACHE STRING "Compile a target's sources a dozen at a time: 'all', or empty for none")
set(POSTERN_SANITIZE "" CACHE STRING "Value of -fsanitize=, empty for none")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # So that what includes a precompiled header is cached too.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros
                                  "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

# What ccache needs to know a precompiled header again.
set(POSTERN_PRECOMPILED_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
                                "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")

add_library(postern_warnings INTERFACE)
target_compile_options(postern_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror
  # gcc 12 sees uninitialised members in every moved std::variant once it optimises.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)

# Headers are then read once for a dozen files: half the time of a whole build. Names of anonymous namespaces must
# differ within a target.
if(POSTERN_MERGE_SOURCES)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 12)
  if(NOT POSTERN_MERGE_SOURCES STREQUAL "all")
    message(FATAL_ERROR "POSTERN_MERGE_SOURCES: found ${POSTERN_MERGE_SOURCES}, expected all or nothing")
  endif()
  set(CMAKE_UNITY_BUILD ON)
  # A file of its own may have members of such names' types; gcc takes a merged one for a header.
  target_compile_options(postern_warnings INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()

# For all alike, as gRPC's and GoogleTest's users have it: a precompiled header fits only where it is the same.
add_compile_options(-pthread)

if(POSTERN_SANITIZE)
  add_compile_options(-fsanitize=${POSTERN_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${POSTERN_SANITIZE})
  # Takes a fifth of the time on such large programs, and is not always there.
  find_program(LLD_PROGRAM NAMES ld.lld ld.lld-14)
  if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_link_options(-fuse-ld=lld)
  endif()
endif()
