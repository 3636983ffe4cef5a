/* scan_position: a place in a body as people count it. See scan.h. */
#include "api/scan.h"

struct scan_position scan_position(const char *body, size_t length, size_t offset)
{
    struct scan_position position = {1, 1, offset < length ? offset : length};
    const char *line = body, *at = body + position.offset, *newline;
    while (line < at && (newline = memchr(line, '\n', (size_t)(at - line))) != NULL) {
        position.line++;
        line = newline + 1;
    }
    for (; line < at; line++)
        position.column += ((unsigned char)*line & 0xc0) != 0x80;
    return position;
}
