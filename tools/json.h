/* json.h - a writer of JSON: one object a line
 *
 * No '<' comes out, so that the text may stand in a <script> of an HTML page whatever the strings hold.
 * `key` is NULL for the elements of an array and for the outermost object. Keys are plain ASCII words. */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "savepoint.h"

struct json {
    FILE *stream;
    bool comma; /* the next member needs one in front */
};

void json_open_object(struct json *json, const char *key);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *key);
void json_close_array(struct json *json);
void json_text(struct json *json, const char *key, const char *text);
void json_text_bytes(struct json *json, const char *key, const char *text, size_t bytes);
void json_number(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* 32 hex digits, or null for the id that is all zero. */
void json_id(struct json *json, const char *key, const struct savepoint_id *id);

/* Ends the outermost object and its line. */
void json_end_line(struct json *json);

#endif
