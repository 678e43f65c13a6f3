# linux-arm64.cmake - cross build for Linux on 64-bit ARM with Debian's gcc-aarch64-linux-gnu; tests run under qemu
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

# zstd and xxHash come from tests/cross/dependencies.sh, by pkg-config; programs of the build machine stay in use.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
