/* terminal.h - what the tool asks of the terminal, the clock and the signals of this system */
#ifndef TOOL_TERMINAL_H
#define TOOL_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* To be called once, first: a reader that goes away must not kill the tool in the middle of its work. */
void terminal_begin(void);

/* The arguments as UTF-8; *argc may change, and what is returned lives as long as the program. */
char **terminal_arguments(int *argc, char **argv);

bool terminal_is(FILE *stream);

/* Width for tables on stdout: COLUMNS where it is set, else that of the terminal; 0: no limit. */
int terminal_columns(void);

/* The same for a line on stderr. */
int terminal_error_columns(void);

/* The locale says that the terminal shows UTF-8. */
bool terminal_utf8(void);

/* From here on the first Ctrl-C, and where there are such signals the first SIGTERM or SIGHUP, only sets a flag and
 * ends a call that waits, by EINTR; a second one ends the process at once. */
void terminal_catch_interrupt(void);
bool terminal_interrupted(void);

/* As it was before: nothing is left that should be put in order. False where an interrupt came in between. */
bool terminal_release_interrupt(void);

/* The exit code of a tool that was interrupted. */
int terminal_interrupt_code(void);

/* The reader of stdout has gone. */
bool terminal_pipe_broken(void);

/* Either of the two: long output should end. */
bool terminal_stopped(void);

/* Ends the process as an uncaught broken pipe does, where the system has such a thing; else returns. */
void terminal_end_of_pipe(void);

/* Breaks seconds since 1970 down, in UTC or in local time; false where the system cannot. */
bool terminal_calendar(struct tm *calendar, uint64_t seconds, bool utc);

/* UTC nanoseconds since 1970. */
uint64_t terminal_time_ns(void);

/* Time that never goes backwards; only differences mean something. */
uint64_t terminal_clock_ns(void);

#endif
