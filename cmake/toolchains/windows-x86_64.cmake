# windows-x86_64.cmake - cross build for Windows on x86-64 with mingw-w64; tests run under Wine
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_CROSSCOMPILING_EMULATOR wine)

# Programs carry everything with them, and a build id that archives record.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -Wl,--build-id=sha1")

# Libraries come from tests/cross/dependencies.sh, by pkg-config; programs of the build machine stay in use.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
