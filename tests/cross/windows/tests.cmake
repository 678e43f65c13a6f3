# tests.cmake - the tests that run on Windows: those whose POSIX calls tests/cross/windows can stand in for
#
# Included by tests/CMakeLists.txt in the place of its own list. Left out are the tests of other write-watches, of the
# kernel's many ways to write (contract/test_watch_kernel and test_watch_memory), and those that fork throughout.
set(cross ${CMAKE_CURRENT_SOURCE_DIR}/cross/windows)
add_library(savepoint-posix STATIC ${cross}/posix.c ${cross}/fork.c)
target_include_directories(savepoint-posix PUBLIC ${cross} ${savepoint_test_includes})
target_link_libraries(savepoint-posix PRIVATE savepoint savepoint-warnings)
target_compile_options(savepoint-posix PUBLIC -include ${cross}/posix.h)
set_target_properties(savepoint-posix PROPERTIES C_EXTENSIONS ON)

# add(GROUP NAME [VARIANTS variant...] [SOURCES file...] [WRAP symbol...]): as savepoint_add_test, with the stand-ins
function(add group name)
    savepoint_add_test(GROUP ${group} NAME ${name} RUNNERS plain TIMEOUT 600 LIBRARIES savepoint-posix ${ARGN})
    foreach(target IN ITEMS ${group}.${name}.plain ${group}.${name}.program)
        if(TARGET ${target})
            set_target_properties(${target} PROPERTIES C_EXTENSIONS ON)
        endif()
    endforeach()
endfunction()
set(backends VARIANTS SAVEPOINT_TEST_BACKEND=windows SAVEPOINT_TEST_BACKEND=compare)

foreach(name IN ITEMS test_watch test_watch_ranges)
    add(contract ${name} SOURCES contract/${name}.c contract/watch_fixture.c ${backends})
endforeach()
add(contract test_watch_misuse SOURCES contract/test_watch_misuse.c contract/public_fixture.c contract/watch_fixture.c
    ${backends})
add(contract test_watch_windows SOURCES contract/test_watch_windows.c contract/watch_fixture.c)
add(race race_watch PROGRAM VARIANTS windows compare)
add(race race_collects PROGRAM VARIANTS windows compare)
add(race race_session PROGRAM VARIANTS windows compare)

foreach(name IN ITEMS
        body bytes changes compare digest index names options pack pages pageset record regions session sparse_root status utf8)
    add(unit test_${name} SOURCES unit/test_${name}.c support/model.c)
endforeach()
add(unit test_ring SOURCES unit/test_ring.c support/model.c support/ring_world.c
    WRAP svp_memory_alloc svp_memory_resize)
add(unit test_buffer WRAP svp_memory_resize)
add(unit test_tree SOURCES unit/test_tree.c support/model.c WRAP svp_digest128)
add(unit test_diff WRAP svp_reader_page)

set(property_sources property/program.c property/program_session.c property/program_check.c property/bad_disk.c
    support/model.c)
add(property test_history SOURCES property/test_history.c ${property_sources} WRAP svp_file_write svp_file_sync
    ${backends})
add(property test_cases SOURCES property/test_cases.c property/bad_disk.c support/model.c
    WRAP svp_file_write svp_file_sync)
add(property test_exhaustive SOURCES property/test_exhaustive.c property/bad_disk.c WRAP svp_file_write svp_file_sync
    ${backends})
add(property test_longchain SOURCES property/test_longchain.c property/bad_disk.c support/model.c
    WRAP svp_file_write svp_file_sync svp_index_read)
add(property test_restore_work WRAP svp_file_read)
add(property test_diff SOURCES property/test_diff.c ${property_sources} WRAP svp_file_write svp_file_sync)

set(fault_wraps svp_file_read svp_file_write svp_file_sync svp_file_sync_folder
    svp_file_truncate svp_memory_alloc svp_memory_zalloc svp_memory_resize svp_take_next svp_take_oldest svp_take_encoded)
foreach(name IN ITEMS test_autosave test_autosave_fails test_interval test_keep_last test_keep_random test_tombstone)
    add(session ${name} SOURCES session/${name}.c session/autosave_world.c crash/crash_fixture.c support/fault.c
        WRAP ${fault_wraps} svp_host_monotonic_ns svp_file_open svp_file_size svp_file_has_name svp_file_is_at)
endforeach()
foreach(name IN ITEMS test_no_base test_fsync test_torn test_open_faults test_power test_bad_options test_drop test_refs)
    add(crash ${name} SOURCES crash/${name}.c crash/crash_fixture.c crash/small_archive.c crash/power_disk.c
        support/fault.c WRAP ${fault_wraps})
endforeach()

add(format test_damage)
