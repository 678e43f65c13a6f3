# SavepointInstall.cmake - what `cmake --install` puts where
include(CMakePackageConfigHelpers)

install(TARGETS savepoint EXPORT savepoint-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/savepoint)
install(EXPORT savepoint-targets NAMESPACE savepoint:: DESTINATION ${package_directory})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/savepoint-config.cmake.in
    ${PROJECT_BINARY_DIR}/cmake/savepoint-config.cmake INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/savepoint-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/savepoint-config.cmake
    ${PROJECT_BINARY_DIR}/cmake/savepoint-config-version.cmake DESTINATION ${package_directory})

# In a static library the user's link needs what is private to a shared one.
if(BUILD_SHARED_LIBS)
    set(pkgconfig_cflags -DSAVEPOINT_SHARED)
endif()
# The prefix is told relative to the .pc file, so that an installed tree can be moved.
file(RELATIVE_PATH savepoint_pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" savepoint_pc_up "${savepoint_pc_up}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/savepoint.pc.in ${PROJECT_BINARY_DIR}/cmake/savepoint.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/savepoint.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET savepoint-tool)
    install(TARGETS savepoint-tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL
    FILES_MATCHING PATTERN "*.1")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man3
    FILES_MATCHING PATTERN "*.3")
install(FILES ${PROJECT_SOURCE_DIR}/format/savepoint.magic DESTINATION ${CMAKE_INSTALL_DATADIR}/savepoint)
