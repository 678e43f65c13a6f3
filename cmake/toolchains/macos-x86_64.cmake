# macos-x86_64.cmake - cross build for macOS on Intel processors
set(macos_name macos-x86_64)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
include(${CMAKE_CURRENT_LIST_DIR}/macos.cmake)
