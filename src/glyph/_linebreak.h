/* Unicode line breaking (UAX #14) as one table-driven pass; included by _kernel.c.
 *
 * The rules live in linebreak.py, which builds the table of a finite automaton. A state stands for
 * all that the rules must know about the text before a position. The numpy twin reads the same
 * table, so the two cannot drift apart.
 */
#ifndef GLYPH_LINEBREAK_H
#define GLYPH_LINEBREAK_H

#include <stddef.h>
#include <stdint.h>

/* One uint16_t of the table, at [state * 64 + class]:
 *   bits 0-12   the next state times 64, ready to be joined with the next class
 *   bits 13-14  the break before this character: 0 no, 1 allowed, 2 mandatory
 *   bit  15     look-ahead of LB25, "(PR | PO) x OP NU": with a break (an opening bracket after a
 *               prefix or postfix) remember the position; without (the number after that bracket)
 *               take the remembered break back.
 */
#define GLYPH_LB_NUM_CLASSES 64
#define GLYPH_LB_NUM_STATES 128
#define GLYPH_LB_END 63 /* pseudo-class: the end of the text */
#define GLYPH_LB_NEXT 0x1FFF
#define GLYPH_LB_BREAK_SHIFT 13
#define GLYPH_LB_LOOK_AHEAD 0x8000

/* Fill out[i] with the break after character i: 0 none, 1 allowed, 2 mandatory.
 *
 * classes  n line breaking classes, unicode_data.LineBreak; only the low 6 bits are read
 * table    GLYPH_LB_NUM_STATES * GLYPH_LB_NUM_CLASSES entries; state 0 is the start of the text
 *          and the state after a mandatory break
 * out      n bytes, not overlapping the inputs
 *
 * Reads and writes nothing outside these arrays, whatever bytes they hold. No allocation.
 */
static void glyph_line_breaks(const uint8_t *classes, ptrdiff_t n, const uint16_t *table,
                              uint8_t *out)
{
    ptrdiff_t i, held = 0;
    unsigned entry;

    if (n <= 0)
        return;
    entry = table[classes[0] & 63u];
    for (i = 1; i < n; i++) {
        unsigned value;
        entry = table[(entry & GLYPH_LB_NEXT) | (classes[i] & 63u)];
        value = (entry >> GLYPH_LB_BREAK_SHIFT) & 3u;
        out[i - 1] = (uint8_t)value;
        if (entry & GLYPH_LB_LOOK_AHEAD) {
            if (value)
                held = i - 1;
            else
                out[held] = 0;
        }
    }
    entry = table[(entry & GLYPH_LB_NEXT) | GLYPH_LB_END];
    out[n - 1] = (uint8_t)((entry >> GLYPH_LB_BREAK_SHIFT) & 3u);
}

#endif
