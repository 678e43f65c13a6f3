/* screen.h - a picture that is drawn again and again: on the whole terminal, or line after line where there is none
 *
 * On a terminal it has a screen of its own, which is taken away whatever ends the program: 'q', Ctrl-C, a signal. */
#ifndef TOOL_SCREEN_H
#define TOOL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

/* live: there is a terminal to draw on. From here on signals only end the wait. */
void screen_open(bool live);
void screen_close(void);

/* Asked to end by a signal: to be called in long work. */
bool screen_stopped(void);

enum screen_event { SCREEN_TIME, SCREEN_REDRAW, SCREEN_QUIT, SCREEN_STOPPED };

/* Waits until something happens, at most `wait_ns`. */
enum screen_event screen_wait(uint64_t wait_ns);

/* After screen_close: ends the process as the signal that stopped it would have, or returns after Ctrl-C or none. */
void screen_end(void);

/* Rows of the terminal; 0: no limit. */
int screen_rows(void);

/* Around the lines of a picture, which end with screen_next_line but for the last. */
void screen_begin_picture(void);
void screen_next_line(void);
void screen_end_picture(void);

#endif
