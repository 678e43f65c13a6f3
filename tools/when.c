/* when.c - points in time as people write them */
#include "when.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "terminal.h"

#define NS_PER_S 1000000000u

enum { WORD_BYTES = 64, FIRST_YEAR = 1970, LAST_YEAR = 2500, SECONDS_PER_DAY = 86400 };

/* A date and time, and how long the unit lasts that its last digit counts. */
struct moment {
    int year, month, day, hour, minute, second;
    uint32_t nanosecond;
    bool only_date;
    uint64_t extent_ns; /* where it is more than a date */
};

static bool is_digit(char character)
{
    return isdigit((unsigned char)character) != 0;
}

/* Takes exactly `digits` digits that make a number in [least, most]. */
static bool take(const char **at, int *value, int digits, int least, int most)
{
    int number = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit((*at)[i])) {
            return false;
        }
        number = number * 10 + ((*at)[i] - '0');
    }
    *at += digits;
    *value = number;
    return number >= least && number <= most;
}

static bool skip(const char **at, char character)
{
    bool there = **at == character;
    *at += there ? 1 : 0;
    return there;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_fraction(const char **at, struct moment *moment)
{
    if (!is_digit(**at)) {
        return false;
    }
    for (; is_digit(**at) && moment->extent_ns > 1; ++*at) {
        moment->extent_ns /= 10;
        moment->nanosecond += (uint32_t)(**at - '0') * (uint32_t)moment->extent_ns;
    }
    return true;
}

/* "10:30", "10:30:05", "10:30:05.250" */
static bool take_clock(const char **at, struct moment *moment)
{
    if (!take(at, &moment->hour, 2, 0, 23) || !skip(at, ':') || !take(at, &moment->minute, 2, 0, 59)) {
        return false;
    }
    moment->only_date = false;
    moment->extent_ns = 60 * (uint64_t)NS_PER_S;
    if (!skip(at, ':')) {
        return true;
    }
    moment->extent_ns = NS_PER_S;
    return take(at, &moment->second, 2, 0, 59) && (!skip(at, '.') || take_fraction(at, moment));
}

/* Seconds since 1970 of a calendar date; `day` may lie behind the end of the month. */
static int64_t utc_seconds(const struct moment *moment)
{
    int64_t days = moment->day - 1;
    for (int year = FIRST_YEAR; year < moment->year; year++) {
        days += days_in_month(year, 2) == 29 ? 366 : 365;
    }
    for (int month = 1; month < moment->month; month++) {
        days += days_in_month(moment->year, month);
    }
    return days * SECONDS_PER_DAY + moment->hour * 3600 + moment->minute * 60 + moment->second;
}

static int64_t local_seconds(const struct moment *moment)
{
    struct tm calendar = {
        .tm_year = moment->year - 1900,
        .tm_mon = moment->month - 1,
        .tm_mday = moment->day,
        .tm_hour = moment->hour,
        .tm_min = moment->minute,
        .tm_sec = moment->second,
        .tm_isdst = -1,
    };
    return (int64_t)mktime(&calendar);
}

/* The last nanosecond of the moment. */
static uint64_t end_of(struct moment moment, bool utc)
{
    uint64_t behind_ns = moment.nanosecond + moment.extent_ns;
    if (moment.only_date) {
        moment.day++; /* the next midnight, also where the clock is changed in between */
        behind_ns = 0;
    }
    int64_t seconds = utc ? utc_seconds(&moment) : local_seconds(&moment);
    return seconds < 0 ? 0 : (uint64_t)seconds * NS_PER_S + behind_ns - 1;
}

static bool parse_date(uint64_t *time_ns, const char *text)
{
    struct moment moment = { .only_date = true };
    const char *at = text;
    bool good = take(&at, &moment.year, 4, FIRST_YEAR, LAST_YEAR) && skip(&at, '-') &&
                take(&at, &moment.month, 2, 1, 12) && skip(&at, '-') &&
                take(&at, &moment.day, 2, 1, days_in_month(moment.year, moment.month));
    if (!good || ((skip(&at, ' ') || skip(&at, 'T')) && !take_clock(&at, &moment))) {
        return false;
    }
    bool utc = skip(&at, 'Z');
    if (*at != '\0') {
        return false;
    }
    *time_ns = end_of(moment, utc);
    return true;
}

/* Seconds in a unit of time, 0 for any other word. */
static uint64_t unit_seconds(const char *word)
{
    static const struct {
        const char *names; /* between blanks */
        uint64_t seconds;
    } units[] = {
        { " s sec secs second seconds ", 1 }, { " m min mins minute minutes ", 60 }, { " h hour hours ", 3600 },
        { " d day days ", SECONDS_PER_DAY },  { " w week weeks ", 604800 },
    };
    size_t length = strlen(word);
    for (size_t i = 0; length > 0 && i < sizeof units / sizeof units[0]; i++) {
        for (const char *at = units[i].names; (at = strstr(at, word)) != NULL; at += length) {
            if (at[-1] == ' ' && at[length] == ' ') {
                return units[i].seconds;
            }
        }
    }
    return 0;
}

enum number_kind when_duration(uint64_t *duration_ns, const char *text)
{
    uint64_t count = 0;
    const char *at = text;
    enum number_kind kind = number_take(&count, &at, 10);
    at += strspn(at, " ");
    uint64_t seconds = unit_seconds(at);
    if (kind == NUMBER_NONE || count == 0 || seconds == 0) {
        return NUMBER_NONE;
    }
    if (count > UINT64_MAX / NS_PER_S / seconds) {
        return NUMBER_TOO_LARGE;
    }
    *duration_ns = count * seconds * NS_PER_S;
    return NUMBER_GOOD;
}

/* "10 min ago"; more than there has been since 1970 is 1970. */
static bool parse_ago(uint64_t *time_ns, char *text, uint64_t now_ns)
{
    uint64_t count = 0;
    char *at = text;
    for (; is_digit(*at); at++) {
        count = count > UINT32_MAX ? count : count * 10 + (uint64_t)(*at - '0');
    }
    bool counted = at > text;
    at += strspn(at, " ");
    char *unit = at;
    at += strcspn(at, " ");
    size_t blanks = strspn(at, " ");
    bool ago = blanks > 0 && strcmp(at + blanks, "ago") == 0;
    *at = '\0';
    uint64_t seconds = unit_seconds(unit);
    if (!counted || !ago || seconds == 0) {
        return false;
    }
    uint64_t now_s = now_ns / NS_PER_S;
    *time_ns = count > now_s / seconds ? 0 : now_ns - count * seconds * NS_PER_S;
    return true;
}

/* Up to the last midnight. */
static uint64_t end_of_yesterday(uint64_t now_ns)
{
    struct tm today;
    if (!terminal_calendar(&today, now_ns / NS_PER_S, false)) {
        return 0;
    }
    const struct moment yesterday = {
        .year = today.tm_year + 1900, .month = today.tm_mon + 1, .day = today.tm_mday - 1, .only_date = true
    };
    return end_of(yesterday, false);
}

bool when_parse(uint64_t *time_ns, const char *text, size_t bytes, uint64_t now_ns)
{
    char word[WORD_BYTES];
    if (bytes >= sizeof word) {
        return false;
    }
    memcpy(word, text, bytes);
    word[bytes] = '\0';
    if (strcmp(word, "yesterday") == 0) {
        *time_ns = end_of_yesterday(now_ns);
        return true;
    }
    return parse_date(time_ns, word) || parse_ago(time_ns, word, now_ns);
}
