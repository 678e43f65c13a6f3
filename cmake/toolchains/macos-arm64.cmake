# macos-arm64.cmake - cross build for macOS on Apple silicon
set(macos_name macos-arm64)
set(CMAKE_SYSTEM_PROCESSOR arm64)
include(${CMAKE_CURRENT_LIST_DIR}/macos.cmake)
