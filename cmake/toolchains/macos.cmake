# macos.cmake - what the cross builds for macOS share: zig's clang and linker, fetched by cmake/get-zig.sh
#
# The file that includes this sets macos_name. Programs are built against macOS 11 and later, and can be linked but not
# run on the build machine. Libraries come from tests/cross/dependencies.sh, by pkg-config.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_VERSION 20)

cmake_path(SET macos_root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../../)
set(SAVEPOINT_ZIG ${macos_root}build/zig CACHE PATH "Where cmake/get-zig.sh has put the compiler")
set(CMAKE_C_COMPILER ${SAVEPOINT_ZIG}/${macos_name}-cc)
set(CMAKE_AR ${SAVEPOINT_ZIG}/${macos_name}-ar)
set(CMAKE_RANLIB ${SAVEPOINT_ZIG}/${macos_name}-ranlib)
set(CMAKE_INSTALL_NAME_TOOL /bin/true) # nothing is installed on a Mac from here

# The one header of Apple's that the compiler does not bring along; one it does bring is preferred.
set(CMAKE_C_FLAGS_INIT "-idirafter ${CMAKE_CURRENT_LIST_DIR}/include")

set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SAVEPOINT_ZIG)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
