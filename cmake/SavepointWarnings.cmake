# SavepointWarnings.cmake - the warnings every target of ours is built with (-Werror comes from the presets)
add_library(savepoint-warnings INTERFACE)
if(MSVC)
    target_compile_options(savepoint-warnings INTERFACE /W4)
else()
    target_compile_options(savepoint-warnings INTERFACE
        -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wcast-align)
endif()
if(MINGW)
    # gcc holds our formats against those of msvcrt, though C11's own printf is linked; other builds check them.
    target_compile_options(savepoint-warnings INTERFACE -Wno-format)
endif()
