#include "core/utf8.h"

#include <stddef.h>

/* The bytes of the character that begins here, 0 where none does. Longer forms than need be and surrogates are none. */
static size_t character_length(const unsigned char *at)
{
    static const struct {
        unsigned char first, last;   /* of the leading byte */
        unsigned char second, until; /* of the byte after it */
        size_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (*at < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*at < forms[i].first || *at > forms[i].last)
            continue;
        if (at[1] < forms[i].second || at[1] > forms[i].until)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

void utf8_repair(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at;) {
        size_t length = character_length(at);
        if (length == 0)
            *at = '?';
        at += length ? length : 1;
    }
}
