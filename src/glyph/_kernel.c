/* The inner loops of layout and raster. Each has a twin in kernel.py that gives the same bytes;
 * tests run both. Only integers are used, so that compilers and machines agree.
 *
 * Arguments are buffers (NumPy arrays) whose types kernel.py guarantees; sizes are checked here
 * once more where a wrong one would write out of bounds.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "_linebreak.h"

enum { BREAK_AFTER = 1, SPACE = 2, NEWLINE = 4, ATTACHED = 8 };
enum { MAX_BUFFERS = 12, LANE = 16 };

typedef struct {
    Py_buffer view[MAX_BUFFERS];
    int count;
} Buffers;

static void release(Buffers *b) {
    while (b->count > 0) PyBuffer_Release(&b->view[--b->count]);
}

/* Take a buffer; NULL on failure with the earlier ones released. None gives length 0. */
static void *take(Buffers *b, PyObject *object, int writable, Py_ssize_t *num_bytes) {
    Py_buffer *view = &b->view[b->count];
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0) {
        release(b);
        return NULL;
    }
    b->count++;
    if (num_bytes) *num_bytes = view->len;
    return view->buf ? view->buf : (void *)"";
}

static PyObject *too_small(Buffers *b, const char *what) {
    release(b);
    PyErr_Format(PyExc_ValueError, "%s: a buffer is too small", what);
    return NULL;
}

/* line_breaks(classes, table, out): see _linebreak.h */
static PyObject *line_breaks(PyObject *self, PyObject *args) {
    PyObject *oc, *ot, *oo;
    Buffers b = {.count = 0};
    Py_ssize_t nc, nt, no;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOO", &oc, &ot, &oo)) return NULL;
    const uint8_t *classes = take(&b, oc, 0, &nc);
    if (!classes) return NULL;
    const uint16_t *table = take(&b, ot, 0, &nt);
    if (!table) return NULL;
    uint8_t *out = take(&b, oo, 1, &no);
    if (!out) return NULL;
    if (no < nc || nt < (Py_ssize_t)sizeof(uint16_t) * GLYPH_LB_NUM_STATES * GLYPH_LB_NUM_CLASSES)
        return too_small(&b, "line_breaks");
    glyph_line_breaks(classes, nc, table, out);
    release(&b);
    Py_RETURN_NONE;
}

/* look_up(table, item_bytes, index, out): out[i] = table[index[i]]; 32-bit indices, items of 1 or
 * 4 bytes. Returns False, with out unfinished, when an index is outside the table.
 */
static PyObject *look_up(PyObject *self, PyObject *args) {
    PyObject *ot, *oi, *oo;
    int item_bytes;
    Buffers b = {.count = 0};
    Py_ssize_t nt, ni, no, i = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OiOO", &ot, &item_bytes, &oi, &oo)) return NULL;
    const void *table = take(&b, ot, 0, &nt);
    if (!table) return NULL;
    const uint32_t *index = take(&b, oi, 0, &ni);
    if (!index) return NULL;
    void *out = take(&b, oo, 1, &no);
    if (!out) return NULL;
    const Py_ssize_t n = ni / 4;
    const uint32_t size = (uint32_t)(nt / item_bytes);
    if (no < n * item_bytes || (item_bytes != 1 && item_bytes != 4)) return too_small(&b, "look_up");
    if (item_bytes == 1)
        for (; i < n && index[i] < size; i++) ((uint8_t *)out)[i] = ((const uint8_t *)table)[index[i]];
    else
        for (; i < n && index[i] < size; i++) ((int32_t *)out)[i] = ((const int32_t *)table)[index[i]];
    release(&b);
    return PyBool_FromLong(i == n);
}

/* fill_lines(advance64, flags, avail_first, avail_rest, at_start, max_chars, is_final,
 *            end, ink_end, width64) -> (number of lines, characters consumed)
 *
 * Greedy first fit. White space at the end of a line hangs. A word wider than the line is cut
 * between clusters. The unfinished last line is left for the next block unless is_final.
 */
static PyObject *fill_lines(PyObject *self, PyObject *args) {
    PyObject *oa, *of, *oe, *oi, *ow;
    int avail_first, avail_rest, at_start, max_chars, is_final;
    Buffers b = {.count = 0};
    Py_ssize_t na, nf, ne, ni, nw;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOiiiiiOOO", &oa, &of, &avail_first, &avail_rest, &at_start,
                          &max_chars, &is_final, &oe, &oi, &ow))
        return NULL;
    const int32_t *adv = take(&b, oa, 0, &na);
    if (!adv) return NULL;
    const uint8_t *flag = take(&b, of, 0, &nf);
    if (!flag) return NULL;
    int32_t *end = take(&b, oe, 1, &ne);
    if (!end) return NULL;
    int32_t *ink_end = take(&b, oi, 1, &ni);
    if (!ink_end) return NULL;
    int32_t *width = take(&b, ow, 1, &nw);
    if (!width) return NULL;
    const int32_t n = (int32_t)nf;
    if (na < nf * 4 || ne < nf * 4 || ni < nf * 4 || nw < nf * 4) return too_small(&b, "fill_lines");

    int32_t num = 0, start = 0, i = 0;
    int32_t avail = at_start ? avail_first : avail_rest;
    int32_t pen = 0;                            /* width so far, hanging space included */
    int32_t ink = 0, ink_width = 0;             /* after the last character with ink */
    int32_t cut = 0, cut_ink = 0, cut_width = 0; /* the last opportunity */
    while (i < n) {
        const uint8_t f = flag[i];
        const int hangs = f & (SPACE | NEWLINE);
        const int over = !hangs && pen + adv[i] > avail;
        if ((over || i - start >= max_chars) && i > start) {
            int32_t at = cut;
            if (cut > start) {
                ink = cut_ink;
                ink_width = cut_width;
            } else {
                at = i;
                while (at > start && (flag[at] & ATTACHED)) at--;
                if (at == start)
                    for (at = i; at < n && (flag[at] & ATTACHED); at++) {}
                ink_width = 0;
                ink = start;
                int32_t sum = 0;
                for (int32_t k = start; k < at; k++) {
                    sum += adv[k];
                    if (!(flag[k] & (SPACE | NEWLINE))) ink = k + 1, ink_width = sum;
                }
                if (at >= n) break; /* the cluster may go on in the next block */
            }
            end[num] = at, ink_end[num] = ink, width[num] = ink_width, num++;
            start = i = at;
            avail = avail_rest;
            pen = 0, ink = start, ink_width = 0, cut = start;
            continue;
        }
        pen += adv[i];
        if (!hangs) ink = i + 1, ink_width = pen;
        i++;
        if (f & NEWLINE) {
            end[num] = i, ink_end[num] = ink, width[num] = ink_width, num++;
            start = i;
            avail = avail_first;
            pen = 0, ink = start, ink_width = 0, cut = start;
        } else if (f & BREAK_AFTER) {
            cut = i, cut_ink = ink, cut_width = ink_width;
        }
    }
    if (is_final && start < n) {
        end[num] = n, ink_end[num] = ink, width[num] = ink_width, num++;
        start = n;
    }
    release(&b);
    return Py_BuildValue("ii", (int)num, (int)start);
}

/* place(advance64, gap, start, end, ink_end, left64, extra64, x64)
 *
 * Pen position of every character of every line. extra64 is shared out over the gaps (bytes that
 * are 1) before ink_end, the first ones taking what does not divide.
 */
static PyObject *place(PyObject *self, PyObject *args) {
    PyObject *o[8];
    Buffers b = {.count = 0};
    Py_ssize_t size[8];
    void *p[8];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOOOO", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], &o[6], &o[7]))
        return NULL;
    for (int k = 0; k < 8; k++)
        if (!(p[k] = take(&b, o[k], k == 7, &size[k]))) return NULL;
    const int32_t *adv = p[0], *start = p[2], *end = p[3], *ink_end = p[4], *left = p[5],
                  *extra = p[6];
    const uint8_t *gap = p[1];
    int32_t *x = p[7];
    const Py_ssize_t lines = size[2] / 4, n = size[7] / 4;
    if (size[0] < n * 4 || size[1] < n || size[3] < lines * 4 || size[4] < lines * 4 ||
        size[5] < lines * 4 || size[6] < lines * 4 || (lines && end[lines - 1] > n))
        return too_small(&b, "place");
    for (Py_ssize_t l = 0; l < lines; l++) {
        int32_t pen = left[l], each = 0, rest = 0;
        if (extra[l]) {
            int32_t gaps = 0;
            for (int32_t i = start[l]; i < ink_end[l]; i++) gaps += gap[i];
            if (gaps) each = extra[l] / gaps, rest = extra[l] % gaps;
        }
        if (!each && !rest) {
            for (int32_t i = start[l]; i < end[l]; i++) x[i] = pen, pen += adv[i];
            continue;
        }
        for (int32_t i = start[l]; i < end[l]; i++) {
            x[i] = pen;
            pen += adv[i];
            if (gap[i] && i < ink_end[l]) pen += each + (rest-- > 0);
        }
    }
    release(&b);
    Py_RETURN_NONE;
}

/* One lane: keep the lower bytes. Coverage bytes are lowered by the ink first; 255, no coverage,
 * stays. All three forms compute the same. */
#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
typedef __m128i Ink;
static inline Ink spread(uint8_t ink) { return _mm_set1_epi8((char)ink); }
static inline void blend_plain(uint8_t *to, const uint8_t *from) {
    const __m128i raw = _mm_loadu_si128((const __m128i *)from);
    _mm_storeu_si128((__m128i *)to, _mm_min_epu8(raw, _mm_loadu_si128((const __m128i *)to)));
}
static inline void blend_lane(uint8_t *to, const uint8_t *from, Ink ink) {
    const __m128i raw = _mm_loadu_si128((const __m128i *)from);
    const __m128i blank = _mm_cmpeq_epi8(raw, _mm_set1_epi8(-1));
    const __m128i s = _mm_sub_epi8(raw, _mm_andnot_si128(blank, ink));
    _mm_storeu_si128((__m128i *)to, _mm_min_epu8(s, _mm_loadu_si128((const __m128i *)to)));
}
#elif defined(__ARM_NEON)
#include <arm_neon.h>
typedef uint8x16_t Ink;
static inline Ink spread(uint8_t ink) { return vdupq_n_u8(ink); }
static inline void blend_plain(uint8_t *to, const uint8_t *from) {
    vst1q_u8(to, vminq_u8(vld1q_u8(from), vld1q_u8(to)));
}
static inline void blend_lane(uint8_t *to, const uint8_t *from, Ink ink) {
    const uint8x16_t raw = vld1q_u8(from);
    const uint8x16_t blank = vceqq_u8(raw, vdupq_n_u8(255));
    vst1q_u8(to, vminq_u8(vsubq_u8(raw, vbicq_u8(ink, blank)), vld1q_u8(to)));
}
#else
typedef uint8_t Ink;
static inline Ink spread(uint8_t ink) { return ink; }
static inline void blend_plain(uint8_t *to, const uint8_t *from) {
    for (int k = 0; k < LANE; k++) to[k] = from[k] < to[k] ? from[k] : to[k];
}
static inline void blend_lane(uint8_t *to, const uint8_t *from, Ink ink) {
    for (int k = 0; k < LANE; k++) {
        const uint8_t s = (uint8_t)(from[k] - (from[k] == 255 ? 0 : ink));
        to[k] = s < to[k] ? s : to[k];
    }
}
#endif

typedef struct {
    uint8_t *plane;
    int32_t width, height;
} Plane;

static void blit_clipped(Plane p, const uint8_t *bits, int32_t stride, int32_t w, int32_t rows,
                         int32_t x, int32_t y, uint8_t ink) {
    for (int32_t r = 0; r < rows; r++) {
        if (y + r < 0 || y + r >= p.height) continue;
        for (int32_t c = 0; c < w; c++) {
            if (x + c < 0 || x + c >= p.width) continue;
            const uint8_t raw = bits[(Py_ssize_t)r * stride + c];
            const uint8_t s = (uint8_t)(raw - (raw == 255 ? 0 : ink));
            uint8_t *to = p.plane + (Py_ssize_t)(y + r) * p.width + x + c;
            if (s < *to) *to = s;
        }
    }
}

/* blit(plane, width, height, bits, offset, shape, slot, x64, baseline, ink or None)
 *
 * plane holds width*height bytes and slack behind them, since rows are written in lanes of 16
 * whose unused bytes are 255 and change nothing. shape has (stride, width, rows, left, top) for
 * each of the four phases of each slot.
 */
static PyObject *blit(PyObject *self, PyObject *args) {
    PyObject *o[8];
    int width, height;
    Buffers b = {.count = 0};
    Py_ssize_t size[8] = {0};
    void *p[8] = {0};
    (void)self;
    if (!PyArg_ParseTuple(args, "OiiOOOOOOO", &o[0], &width, &height, &o[1], &o[2], &o[3], &o[4],
                          &o[5], &o[6], &o[7]))
        return NULL;
    for (int k = 0; k < 8; k++) {
        if (k == 7 && o[k] == Py_None) break;
        if (!(p[k] = take(&b, o[k], k == 0, &size[k]))) return NULL;
    }
    const Plane plane = {p[0], width, height};
    const uint8_t *bits = p[1], *inks = p[7];
    const int64_t *offset = p[2];
    const int16_t *shape = p[3];
    const int32_t *slot = p[4], *x64 = p[5], *baseline = p[6];
    const Py_ssize_t n = size[4] / 4, num_bitmaps = size[2] / 8;
    if (size[5] < n * 4 || size[6] < n * 4 || (inks && size[7] < n) || size[3] < num_bitmaps * 10 ||
        size[0] < (Py_ssize_t)width * height)
        return too_small(&b, "blit");
    for (Py_ssize_t i = 0; i < n; i++) {
        const int32_t quarter = (x64[i] + 8) >> 4;
        const Py_ssize_t k = (Py_ssize_t)slot[i] * 4 + (quarter & 3);
        if (k < 0 || k >= num_bitmaps) return too_small(&b, "blit");
        const int16_t *s = shape + k * 5;
        const int32_t stride = s[0], w = s[1], rows = s[2];
        if (!rows) continue;
        const int32_t x = (quarter >> 2) + s[3], y = baseline[i] - s[4];
        const uint8_t *from = bits + offset[k];
        const uint8_t ink = inks ? inks[i] : 0;
        if (x < 0 || y < 0 || x + w > width || y + rows > height ||
            (Py_ssize_t)(y + rows - 1) * width + x + stride > size[0]) {
            blit_clipped(plane, from, stride, w, rows, x, y, ink);
            continue;
        }
        uint8_t *to = plane.plane + (Py_ssize_t)y * width + x;
        if (stride == LANE && !ink) { /* nearly every glyph of a page of text */
            for (int32_t r = 0; r < rows; r++) blend_plain(to + (Py_ssize_t)r * width, from + r * LANE);
            continue;
        }
        const Ink spread_ink = spread(ink);
        for (int32_t r = 0; r < rows; r++, to += width, from += stride)
            for (int32_t c = 0; c < stride; c += LANE) blend_lane(to + c, from + c, spread_ink);
    }
    release(&b);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"line_breaks", line_breaks, METH_VARARGS, "Break after each character, by class."},
    {"look_up", look_up, METH_VARARGS, "Gather items of a table."},
    {"fill_lines", fill_lines, METH_VARARGS, "Greedy line filling."},
    {"place", place, METH_VARARGS, "Pen positions of the characters of lines."},
    {"blit", blit, METH_VARARGS, "Draw glyph bitmaps into a plane."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "Inner loops of layout and raster.", 0, methods, slots,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module); }
