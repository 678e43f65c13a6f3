/* json.c - a writer of JSON: one object a line */
#include "json.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

static void begin_member(struct json *json, const char *key)
{
    if (json->comma) {
        fputc(',', json->stream);
    }
    if (key != NULL) {
        fprintf(json->stream, "\"%s\":", key);
    }
    json->comma = true;
}

static void open_bracket(struct json *json, const char *key, char bracket)
{
    begin_member(json, key);
    fputc(bracket, json->stream);
    json->comma = false;
}

static void close_bracket(struct json *json, char bracket)
{
    fputc(bracket, json->stream);
    json->comma = true;
}

void json_open_object(struct json *json, const char *key)
{
    open_bracket(json, key, '{');
}

void json_close_object(struct json *json)
{
    close_bracket(json, '}');
}

void json_open_array(struct json *json, const char *key)
{
    open_bracket(json, key, '[');
}

void json_close_array(struct json *json)
{
    close_bracket(json, ']');
}

static void write_character(FILE *stream, uint32_t code_point, const char *text, size_t length)
{
    if (code_point == '"' || code_point == '\\') {
        fprintf(stream, "\\%c", (int)code_point);
    } else if (code_point == '\n') {
        fputs("\\n", stream);
    } else if (code_point == '<' || (text_is_unsafe(code_point) && code_point <= 0xffff)) {
        fprintf(stream, "\\u%04" PRIx32, code_point);
    } else if (text_is_unsafe(code_point)) {
        code_point -= 0x10000; /* JSON has escapes for UTF-16 only: a surrogate pair */
        fprintf(stream, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (code_point >> 10), 0xdc00 + (code_point & 0x3ff));
    } else {
        fwrite(text, 1, length, stream);
    }
}

void json_text_bytes(struct json *json, const char *key, const char *text, size_t bytes)
{
    begin_member(json, key);
    fputc('"', json->stream);
    for (size_t i = 0; i < bytes;) {
        uint32_t code_point = 0;
        size_t length = text_decode(&code_point, text + i, bytes - i);
        if (length == 0) {
            fputs("\\ufffd", json->stream);
            i++;
            continue;
        }
        write_character(json->stream, code_point, text + i, length);
        i += length;
    }
    fputc('"', json->stream);
}

void json_text(struct json *json, const char *key, const char *text)
{
    json_text_bytes(json, key, text, strlen(text));
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    begin_member(json, key);
    fprintf(json->stream, "%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_member(json, key);
    fputs(value ? "true" : "false", json->stream);
}

void json_null(struct json *json, const char *key)
{
    begin_member(json, key);
    fputs("null", json->stream);
}

void json_id(struct json *json, const char *key, const struct savepoint_id *id)
{
    static const struct savepoint_id none;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    if (memcmp(id, &none, sizeof none) == 0) {
        json_null(json, key);
        return;
    }
    savepoint_id_format(id, text);
    json_text(json, key, text);
}

void json_end_line(struct json *json)
{
    json_close_object(json);
    fputc('\n', json->stream);
    json->comma = false;
}
