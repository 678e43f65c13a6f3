# SavepointTest.cmake - savepoint_add_test() and savepoint_add_script(): the two ways a test reaches CTest
#
# CTest names are GROUP.NAME[.VARIANT][.RUNNER]; labels are GROUP, RUNNER and quick or deep.

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH savepoint_root)

# Which runners the check layer is built for.
if(NOT SAVEPOINT_TEST_RUNNERS STREQUAL "plain")
    if("criterion" IN_LIST SAVEPOINT_TEST_RUNNERS)
        set(criterion_required REQUIRED)
    endif()
    pkg_check_modules(CRITERION ${criterion_required} IMPORTED_TARGET criterion)
endif()
if(SAVEPOINT_TEST_RUNNERS)
    set(savepoint_runners ${SAVEPOINT_TEST_RUNNERS})
elseif(CRITERION_FOUND)
    set(savepoint_runners criterion plain)
else()
    set(savepoint_runners plain)
endif()
message(STATUS "Test runners: ${savepoint_runners}")

# What a test links: internals with their include folders, and for the check layer its runner.
set(savepoint_test_includes
    ${savepoint_root}/tests/support ${savepoint_root}/lib ${savepoint_root}/format ${savepoint_root})
add_library(savepoint-check-program INTERFACE)
target_include_directories(savepoint-check-program INTERFACE ${savepoint_test_includes})
target_link_libraries(savepoint-check-program INTERFACE savepoint-core)
foreach(runner IN LISTS savepoint_runners)
    add_library(savepoint-check-${runner} OBJECT
        ${savepoint_root}/tests/support/check.c
        ${savepoint_root}/tests/support/check_${runner}.c)
    target_include_directories(savepoint-check-${runner} PUBLIC ${savepoint_test_includes})
    target_link_libraries(savepoint-check-${runner} PUBLIC savepoint-core PRIVATE savepoint-warnings)
endforeach()
if(TARGET savepoint-check-criterion)
    target_compile_definitions(savepoint-check-criterion PUBLIC CHECK_CRITERION)
    target_link_libraries(savepoint-check-criterion PUBLIC PkgConfig::CRITERION)
endif()

# Properties common to all CTest entries: nothing hangs, nothing that a sanitizer saw passes.
function(savepoint_register_test name timeout labels environment)
    if(CMAKE_CROSSCOMPILING_EMULATOR)
        math(EXPR timeout "${timeout} * 10")
    endif()
    set_tests_properties(${name} PROPERTIES
        TIMEOUT ${timeout}
        LABELS "${labels}"
        ENVIRONMENT "${environment}"
        SKIP_RETURN_CODE 77)
endfunction()

# Registers `target` once for each of the caller's arg_VARIANTS (-: once, as it is).
function(savepoint_register_program target base_name runner)
    foreach(variant IN LISTS arg_VARIANTS)
        set(name ${base_name}.${runner})
        set(environment ${arg_ENV})
        set(arguments ${arg_ARGS})
        if(NOT variant STREQUAL "-")
            string(REGEX REPLACE "^[^=]*=" "" value "${variant}")
            set(name ${base_name}.${value}.${runner})
            if(value STREQUAL variant)
                list(PREPEND arguments ${value})
            else()
                list(APPEND environment ${variant})
            endif()
        endif()
        add_test(NAME ${name} COMMAND bash ${savepoint_root}/tests/support/run_test.sh
            ${runner} ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${target}> ${arguments})
        savepoint_register_test(${name} ${arg_TIMEOUT} "${arg_GROUP};${runner};${arg_LABELS}" "${environment}")
    endforeach()
endfunction()

# savepoint_add_test(GROUP unit NAME test_pageset
#     [PROGRAM]              it has a main() of its own: exit 0 passed, 77 skipped, else failed; no check layer
#     [SOURCES file...]      default: GROUP/NAME.c
#     [WRAP symbol...]       calls from other object files to `symbol` go to the test's __wrap_symbol
#     [LIBRARIES target...]
#     [RUNNERS runner...]    default: all that are built
#     [LABELS quick|deep]    default: quick
#     [TIMEOUT seconds]      default: 60
#     [ENV NAME=value...]
#     [ARGS argument...]     e.g. --filter GLOB
#     [VARIANTS variant...]) one CTest entry for each: NAME=value sets the environment, a bare value is the first
#                            argument; the value becomes part of the entry's name
function(savepoint_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "PROGRAM" "GROUP;NAME;TIMEOUT"
        "SOURCES;WRAP;LIBRARIES;RUNNERS;LABELS;ENV;ARGS;VARIANTS")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_GROUP OR NOT arg_NAME)
        message(FATAL_ERROR "savepoint_add_test(${arg_GROUP} ${arg_NAME}): cannot use '${arg_UNPARSED_ARGUMENTS}'")
    endif()
    foreach(pair IN ITEMS "SOURCES=${arg_GROUP}/${arg_NAME}.c" "LABELS=quick" "TIMEOUT=60" "VARIANTS=-")
        string(REGEX MATCH "^([A-Z]+)=(.*)$" unused "${pair}")
        if(NOT DEFINED arg_${CMAKE_MATCH_1})
            set(arg_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
        endif()
    endforeach()
    if(arg_PROGRAM)
        set(arg_RUNNERS program)
    elseif(NOT arg_RUNNERS)
        set(arg_RUNNERS ${savepoint_runners})
    endif()

    foreach(runner IN LISTS arg_RUNNERS)
        if(NOT TARGET savepoint-check-${runner})
            continue()
        endif()
        set(target ${arg_GROUP}.${arg_NAME}.${runner})
        add_executable(${target} ${arg_SOURCES})
        target_link_libraries(${target} PRIVATE savepoint-check-${runner} savepoint-core ${arg_LIBRARIES}
            savepoint-warnings)
        foreach(symbol IN LISTS arg_WRAP)
            target_link_options(${target} PRIVATE "LINKER:--wrap=${symbol}")
        endforeach()
        savepoint_register_program(${target} ${arg_GROUP}.${arg_NAME} ${runner})
    endforeach()
endfunction()

# savepoint_add_script(GROUP cli NAME log
#     [COMMAND command...]   default: bash GROUP/NAME.sh
#     [LABELS quick|deep] [TIMEOUT seconds] [ENV NAME=value...])
# The script finds SAVEPOINT_TOOL, SAVEPOINT_SOURCE, SAVEPOINT_BINARY, SAVEPOINT_EXAMPLES in its environment,
# and exits 0 (passed), 77 (skipped, after saying why) or anything else (failed).
function(savepoint_add_script)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "GROUP;NAME;TIMEOUT" "COMMAND;LABELS;ENV")
    if(arg_UNPARSED_ARGUMENTS OR NOT arg_GROUP OR NOT arg_NAME)
        message(FATAL_ERROR "savepoint_add_script(${arg_GROUP} ${arg_NAME}): cannot use '${arg_UNPARSED_ARGUMENTS}'")
    endif()
    if(NOT arg_COMMAND)
        set(arg_COMMAND bash ${PROJECT_SOURCE_DIR}/tests/${arg_GROUP}/${arg_NAME}.sh)
    endif()
    if(NOT arg_LABELS)
        set(arg_LABELS quick)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    set(name ${arg_GROUP}.${arg_NAME})
    add_test(NAME ${name} COMMAND ${arg_COMMAND} COMMAND_EXPAND_LISTS)
    set(environment
        SAVEPOINT_SOURCE=${PROJECT_SOURCE_DIR}
        SAVEPOINT_BINARY=${PROJECT_BINARY_DIR}
        SAVEPOINT_EXAMPLES=${PROJECT_BINARY_DIR}/examples
        SAVEPOINT_TOOL=${PROJECT_BINARY_DIR}/tools/savepoint
        ${arg_ENV})
    savepoint_register_test(${name} ${arg_TIMEOUT} "${arg_GROUP};script;${arg_LABELS}" "${environment}")
    set_tests_properties(${name} PROPERTIES
        FAIL_REGULAR_EXPRESSION "AddressSanitizer;LeakSanitizer;ThreadSanitizer;runtime error:")
endfunction()
