# embed.cmake - joins text files to one page and turns it into C arrays: cmake -D OUTPUT=page.c -D FILES=a;b -P embed.cmake
#
# The first file is the frame; a line of it that is `@NAME@` gives place to the file NAME. What stands before and behind
# its line `@data@` becomes report_page_before and report_page_after.
cmake_minimum_required(VERSION 3.25)

list(POP_FRONT FILES frame)
file(READ ${frame} page HEX)
foreach(path IN LISTS FILES)
    cmake_path(GET path FILENAME name)
    file(READ ${path} content HEX)
    string(HEX "@${name}@\n" mark)
    string(REPLACE ${mark} "${content}" page "${page}")
endforeach()

string(HEX "@data@\n" mark)
string(FIND "${page}" ${mark} before_length)
if(before_length EQUAL -1)
    message(FATAL_ERROR "${frame} has no line @data@")
endif()
string(LENGTH ${mark} mark_length)
math(EXPR after_start "${before_length} + ${mark_length}")
string(SUBSTRING "${page}" 0 ${before_length} before)
string(SUBSTRING "${page}" ${after_start} -1 after)

set(source "/* made from tools/report by cmake/embed.cmake */\n#include \"report_page.h\"\n")
foreach(part IN ITEMS before after)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${${part}}")
    string(APPEND source "const unsigned char report_page_${part}[] = { ${bytes} };\n"
        "const size_t report_page_${part}_bytes = sizeof report_page_${part};\n")
endforeach()
file(WRITE ${OUTPUT} "${source}")
