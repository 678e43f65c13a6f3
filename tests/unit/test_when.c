/* test_when.c - points in time as people write them, in several time zones */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "tools/when.h"

#define NS UINT64_C(1000000000)

/* 2026-11-22T10:30:05.250Z */
static const uint64_t now_ns = 1795343405 * NS + 250000000;

static void zone(const char *name)
{
    setenv("TZ", name, 1);
    tzset();
}

static void means(int line, const char *text, uint64_t wanted_ns)
{
    uint64_t time_ns = 1;
    CHECK_MSG(when_parse(&time_ns, text, strlen(text), now_ns), "line %d: '%s' is refused", line, text);
    CHECK_MSG(time_ns == wanted_ns, "line %d: '%s' is %llu instead of %llu", line, text, (unsigned long long)time_ns,
              (unsigned long long)wanted_ns);
}
#define MEANS(text, wanted_ns) means(__LINE__, text, wanted_ns)

static void refused(const char *text)
{
    uint64_t time_ns = 1;
    CHECK_MSG(!when_parse(&time_ns, text, strlen(text), now_ns), "'%s' is taken for %llu", text,
              (unsigned long long)time_ns);
    CHECK_EQ(time_ns, 1);
}

CHECK_TEST(when, so_long_ago)
{
    MEANS("10 min ago", now_ns - 600 * NS);
    MEANS("2 hours ago", now_ns - 7200 * NS);
    MEANS("1 second ago", now_ns - NS);
    MEANS("0 s ago", now_ns);
    MEANS("90m ago", now_ns - 5400 * NS);
    MEANS("3  days  ago", now_ns - 3 * 86400 * NS);
    MEANS("1 week ago", now_ns - 7 * 86400 * NS);
    MEANS("4000000000 weeks ago", 0);
    MEANS("18446744073709551615 seconds ago", 0);
    MEANS("99999999999999999999999999 s ago", 0);
}

CHECK_TEST(when, utc)
{
    zone("America/New_York"); /* does not matter */
    MEANS("2026-11-22T10:30:05.250Z", now_ns + 999999);
    MEANS("2026-11-22T10:30:05.250000000Z", now_ns);
    MEANS("2026-11-22T10:30:05Z", 1795343406 * NS - 1);
    MEANS("2026-11-22 10:30:05Z", 1795343406 * NS - 1);
    MEANS("2026-11-22 10:30Z", 1795343460 * NS - 1);
    MEANS("2026-11-22Z", 1795392000 * NS - 1);
    MEANS("1970-01-01Z", 86400 * NS - 1);
    MEANS("1970-01-01T00:00:00.000000000Z", 0);
    MEANS("2024-02-29Z", 1709251200 * NS - 1);
    MEANS("2026-12-31T23:59:59.999999999Z", 1798761600 * NS - 1);
}

CHECK_TEST(when, local_time)
{
    zone("UTC0");
    MEANS("2026-11-22 10:30", 1795343460 * NS - 1);
    MEANS("yesterday", 1795305600 * NS - 1);
    zone("EST5EDT,M3.2.0,M11.1.0");
    MEANS("2026-11-22 05:30:05", 1795343406 * NS - 1);
    MEANS("2026-11-22", 1795410000 * NS - 1);
    MEANS("yesterday", 1795323600 * NS - 1);
    MEANS("2026-07-01 06:00", 1782900060 * NS - 1); /* summer: four hours */
    MEANS("2026-11-01", 1793595600 * NS - 1);       /* a day of 25 hours */
    zone("ABC-14");
    MEANS("yesterday", 1795341600 * NS - 1); /* it is past midnight there already */
    MEANS("1970-01-01 00:00", 0);            /* before 1970 in UTC */
    zone("UTC0");
}

CHECK_TEST(when, anything_else_is_refused)
{
    static const char *const cases[] = {
        "",
        "now",
        "tomorrow",
        "Yesterday",
        "10 min",
        "ago",
        "min ago",
        "10 ago",
        "-1 min ago",
        "1.5 hours ago",
        "10 minago",
        "10 min ago ",
        " 10 min ago",
        "10 fortnights ago",
        "10 mi ago",
        "10 ec ago",
        "10  ago",
        "2026",
        "2026-11",
        "2026-1-2",
        "26-11-22",
        "2026-00-10",
        "2026-13-01",
        "2026-11-00",
        "2026-11-31",
        "2026-02-29",
        "2100-02-29",
        "1969-12-31",
        "2501-01-01",
        "2026-11-22 ",
        "2026-11-22T",
        "2026-11-22 10",
        "2026-11-22 10:3",
        "2026-11-22 24:00",
        "2026-11-22 10:60",
        "2026-11-22 10:30:60",
        "2026-11-22 10:30:05.",
        "2026-11-22 10:30:05.1234567890",
        "2026-11-22 10:30:05+01:00",
        "2026-11-22 10:30 Z",
        "2026-11-22 10:30ZZ",
        "2026/11/22",
        "22.11.2026",
        "0000000000000000000000000000000000000000000000000000000000000010 min ago",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refused(cases[i]);
    }
}
