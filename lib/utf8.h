/* utf8.h - are these bytes UTF-8 text? */
#ifndef SVP_UTF8_H
#define SVP_UTF8_H

#include <stdbool.h>

/* True for well-formed UTF-8 (RFC 3629: shortest forms, no surrogates, at most U+10FFFF). */
bool svp_utf8_valid(const char *text);

#endif
