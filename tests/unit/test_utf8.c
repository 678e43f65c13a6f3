/* test_utf8.c - what counts as UTF-8 text */
#include "check.h"
#include "utf8.h"

CHECK_TEST(utf8, well_formed_text)
{
    static const char *const good[] = { "",
                                        "plain",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "a\xc3\xa9z" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK_MSG(svp_utf8_valid(good[i]), "text %zu", i);
    }
}

CHECK_TEST(utf8, everything_else)
{
    static const char *const bad[] = {
        "\x80",         "\xc3",         "\xc3z",           "\xc0\x80",         "\xc1\xbf",
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf8\x88\x80", "\xff\xfe",     "good, then \xa0", "\xf0\x9f\x98"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_MSG(!svp_utf8_valid(bad[i]), "text %zu", i);
    }
}
