/* paragraph.c - prose broken into lines that fit the terminal */
#include "paragraph.h"

#include <stdio.h>
#include <string.h>

#include "terminal.h"
#include "text.h"

/* Near enough for a line break: bytes that begin a character. */
static int columns_of(const char *word, size_t bytes)
{
    int columns = 0;
    for (size_t i = 0; i < bytes; i++) {
        columns += ((unsigned char)word[i] & 0xc0u) != 0x80u;
    }
    return columns;
}

void paragraph_print(const char *name, int indent, const char *text)
{
    int width = terminal_columns();
    int column = indent;
    printf("%-*s", indent, name);
    for (const char *word = text; *word != '\0';) {
        size_t bytes = strcspn(word, " ");
        int columns = columns_of(word, bytes);
        if (word != text && width > 0 && column + 1 + columns > width) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (word != text) {
            putchar(' ');
            column++;
        }
        text_print(stdout, word, bytes, NULL);
        column += columns;
        word += bytes;
        word += strspn(word, " ");
    }
    putchar('\n');
}
