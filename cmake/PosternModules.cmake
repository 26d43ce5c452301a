# SPDX-License-Identifier: Apache-2.0
# postern_module(NAME SOURCES a.cpp ... DEPENDS postern::x ... [PRIVATE lib ...] [COMPUTES])
#   A static library postern_NAME with the alias postern::NAME; includes start at the top of the
#   tree ("engine/base/ip.h"). DEPENDS are the floors below: they are what the headers may include.
#   COMPUTES: its tests take long for what it computes, so it is optimised below sanitizers too.
# postern_test(NAME SOURCES a.cpp ... DEPENDS ... [KERNEL] [LABELS l ...] [TIMEOUT seconds] [COST seconds] [COMPUTES])
#   A GoogleTest program registered with ctest under its own name. KERNEL: it needs BPF rights;
#   without them it exits 77 and ctest shows it as skipped. COST: about what it takes, if that is more than ten
#   seconds: ctest starts long ones first, so that both processors have work to the end. COMPUTES: its own
#   sources run for longer without optimisation than optimising them takes; all others are compiled without.
# postern_test_of_the_kernel(NAME)
#   Said of every test that loads programs: it comes after those of POSTERN_TESTS_ALONE, or is one of them.

# No other test that loads programs runs beside one of these: they look at the whole machine (a_killed_run, a_churn), or
# send traffic of which nothing may be lost. They come first, one after another, beside tests that only compute, of
# which they notice nothing but a busy processor. All other tests that load programs keep to namespaces and BPF file
# systems of their own.
set(POSTERN_TESTS_ALONE
  a_churn_leaves_nothing_behind a_killed_run_leaves_nothing a_real_prometheus_counts_what_was_sent_and_alerts
  restarts_lose_nothing tc_amazon_takeover_test tc_takeover_test the_cni_plugin_is_answered_when_policy_is_in_force)
# It measures how much processor time an agent takes that has nothing to do.
set(POSTERN_TESTS_ON_A_QUIET_MACHINE flows_are_logged_and_counted)

function(postern_test_of_the_kernel name)
  if(name IN_LIST POSTERN_TESTS_ON_A_QUIET_MACHINE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  elseif(name IN_LIST POSTERN_TESTS_ALONE)
    # Two of the slots that ctest has: with --parallel 2 nothing runs beside it.
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK machine PROCESSORS 2 COST 1000)
  else()
    set_tests_properties(${name} PROPERTIES DEPENDS "${POSTERN_TESTS_ALONE}")  # whatever becomes of them
  endif()
endfunction()

function(postern_module name)
  cmake_parse_arguments(arg "COMPUTES" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  if(arg_SOURCES)
    add_library(postern_${name} STATIC ${arg_SOURCES})
    target_include_directories(postern_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(postern_${name} PUBLIC ${arg_DEPENDS}
                                          PRIVATE ${arg_PRIVATE} postern_warnings)
    if(arg_COMPUTES AND POSTERN_SANITIZE)
      target_compile_options(postern_${name} PRIVATE -O1)
    endif()
  else()
    add_library(postern_${name} INTERFACE)
    target_include_directories(postern_${name} INTERFACE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(postern_${name} INTERFACE ${arg_DEPENDS})
  endif()
  add_library(postern::${name} ALIAS postern_${name})
endfunction()

function(postern_test name)
  cmake_parse_arguments(arg "KERNEL;COMPUTES" "TIMEOUT;COST" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} GTest::gtest GTest::gmock postern_warnings)
  target_compile_options(${name} PRIVATE ${POSTERN_PRECOMPILED_OPTIONS})
  if(arg_COMPUTES)
    target_precompile_headers(${name} REUSE_FROM postern_computing_test_headers)
  else()
    target_compile_options(${name} PRIVATE -O0)
    target_precompile_headers(${name} REUSE_FROM postern_test_headers)
  endif()
  set(c_sources ${arg_SOURCES})
  list(FILTER c_sources INCLUDE REGEX "\\.c$")
  set_source_files_properties(${c_sources} PROPERTIES SKIP_PRECOMPILE_HEADERS TRUE
                              SKIP_UNITY_BUILD_INCLUSION TRUE)
  if(NOT arg_KERNEL)
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  if(arg_KERNEL)
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
    postern_test_of_the_kernel(${name})
    list(APPEND arg_LABELS kernel)
  endif()
  if(arg_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}")
  endif()
  if(arg_COST)
    set_tests_properties(${name} PROPERTIES COST ${arg_COST})
  endif()
endfunction()
