/* Undo the filters of a PNG: each row says by its first byte how its bytes were predicted from the pixel to the left
 * and the row above. All arithmetic is of integers and as the PNG specification says, so there is one right answer.
 *
 * Also check many PNGs of one form at once and find their pixels, which are packed: what is usual is found here, and
 * whatever is not is left to the caller, `loaders/decoding/png.py`, which says what is wrong with it.
 *
 * Without the GIL where that is worth more than getting it back.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define MAX_PIXEL_BYTES 6
#define RELEASE_GIL_FROM (16 << 10) /* bytes: some 10 us of work; another thread may keep the GIL for 5 ms */

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

enum { NONE, SUB, UP, AVERAGE, PAETH };

typedef unsigned char byte;

/* In the functions below `left` is the pixel to the left, `above` the row above, `corner` the pixel left of that above.
 * `pixel` is the number of bytes of a pixel, a constant wherever they are inlined; `row_bytes` is a multiple of it. */

INLINE void undo_sub(byte *out, const byte *in, size_t row_bytes, size_t pixel)
{
    byte left[MAX_PIXEL_BYTES] = {0};
    for (size_t at = 0; at < row_bytes; at += pixel)
        for (size_t i = 0; i < pixel; i++)
            out[at + i] = left[i] = (byte)(in[at + i] + left[i]);
}

INLINE void undo_up(byte *restrict out, const byte *restrict in, const byte *restrict above, size_t row_bytes)
{
    for (size_t at = 0; at < row_bytes; at++)
        out[at] = (byte)(in[at] + above[at]);
}

INLINE void undo_average(byte *restrict out, const byte *restrict in, const byte *restrict above, size_t row_bytes,
                         size_t pixel)
{
    byte left[MAX_PIXEL_BYTES] = {0};
    for (size_t at = 0; at < row_bytes; at += pixel)
        for (size_t i = 0; i < pixel; i++)
            out[at + i] = left[i] = (byte)(in[at + i] + ((left[i] + above[at + i]) >> 1));
}

/* Of left, above and corner, the one nearest to left + above - corner; the first of equals. Said without distances, and
 * so without branches: a corner in the upper third between the other two, or over it, gives the lower of them, one in
 * the lower third, or under it, the higher, and else it is the corner. */
INLINE int nearest(int left, int above, int corner)
{
    int low = left < above ? left : above, high = left < above ? above : left;
    int third = 3 * corner - (left + above);
    int found = high <= third ? low : corner;
    return third <= low ? high : found;
}

INLINE void undo_paeth(byte *restrict out, const byte *restrict in, const byte *restrict above, size_t row_bytes,
                       size_t pixel)
{
    int left[MAX_PIXEL_BYTES] = {0}, corner[MAX_PIXEL_BYTES] = {0};
    for (size_t at = 0; at < row_bytes; at += pixel)
        for (size_t i = 0; i < pixel; i++) {
            int up = above[at + i];
            left[i] = (in[at + i] + nearest(left[i], up, corner[i])) & 0xFF;
            corner[i] = up;
            out[at + i] = (byte)left[i];
        }
}

/* `above` is a row of zeros for the first row. Returns -1 if there is no such filter. */
INLINE int undo_row(byte *out, const byte *in, const byte *above, size_t row_bytes, size_t pixel)
{
    switch (*in++) {
    case NONE: memcpy(out, in, row_bytes); return 0;
    case SUB: undo_sub(out, in, row_bytes, pixel); return 0;
    case UP: undo_up(out, in, above, row_bytes); return 0;
    case AVERAGE: undo_average(out, in, above, row_bytes, pixel); return 0;
    case PAETH: undo_paeth(out, in, above, row_bytes, pixel); return 0;
    default: return -1;
    }
}

/* Touches no Python object. `in` holds `rows` times a filter and `row_bytes`; a picture has `height` rows. Returns the
 * first row whose filter does not exist, `rows` if there is none. */
INLINE size_t undo_all(byte *out, const byte *in, const byte *zeros, size_t rows, size_t height, size_t row_bytes,
                       size_t pixel)
{
    const byte *above = zeros;
    size_t row = 0, left = 0; /* rows left of this picture */
    for (; row < rows; row++, left--) {
        if (left == 0) {
            above = zeros;
            left = height;
        }
        if (undo_row(out, in, above, row_bytes, pixel) < 0)
            break;
        above = out;
        out += row_bytes;
        in += 1 + row_bytes;
    }
    return row;
}

static size_t undo(byte *out, const byte *in, const byte *zeros, size_t rows, size_t height, size_t row_bytes,
                   size_t pixel)
{
    switch (pixel) {
    case 1: return undo_all(out, in, zeros, rows, height, row_bytes, 1);
    case 2: return undo_all(out, in, zeros, rows, height, row_bytes, 2);
    case 3: return undo_all(out, in, zeros, rows, height, row_bytes, 3);
    default: return undo_all(out, in, zeros, rows, height, row_bytes, 6);
    }
}

PyDoc_STRVAR(unfilter_doc,
             "unfilter(filtered, out, height, row_bytes, pixel_bytes)\n--\n\n"
             "Undo the filters of the rows of PNGs of one form.\n\n"
             "Args:\n"
             "    filtered: For each row its filter, one byte, and `row_bytes` bytes; what follows is not read.\n"
             "    out: Writable, contiguous, a multiple of `height * row_bytes` bytes.\n"
             "    height: Rows of a picture.\n"
             "    row_bytes: A multiple of `pixel_bytes`.\n"
             "    pixel_bytes: 1, 2, 3 or 6.\n\n"
             "Returns:\n"
             "    How many rows come before the first one with a filter that does not exist.\n\n"
             "Raises:\n"
             "    ValueError: If the sizes do not fit one another.");

static PyObject *unfilter(PyObject *module, PyObject *args)
{
    Py_buffer in, out;
    Py_ssize_t height, row_bytes, pixel, rows = 0;
    size_t done = 0;
    byte *zeros = NULL;
    int fits;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*w*nnn:unfilter", &in, &out, &height, &row_bytes, &pixel))
        return NULL;
    fits = (pixel == 1 || pixel == 2 || pixel == 3 || pixel == 6) && row_bytes > 0 && row_bytes % pixel == 0 &&
           height > 0 && out.len > 0 && out.len % row_bytes == 0;
    if (fits) {
        rows = out.len / row_bytes;
        fits = rows % height == 0 && in.len >= out.len && in.len - out.len >= rows; /* a sum might overflow */
    }
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "unfilter: arguments are out of range, or their sizes do not fit");
    else if ((zeros = PyMem_Calloc(1, (size_t)row_bytes)) == NULL)
        PyErr_NoMemory();
    else {
        PyThreadState *state = out.len >= RELEASE_GIL_FROM ? PyEval_SaveThread() : NULL;
        done = undo(out.buf, in.buf, zeros, (size_t)rows, (size_t)height, (size_t)row_bytes, (size_t)pixel);
        if (state != NULL)
            PyEval_RestoreThread(state);
    }
    PyMem_Free(zeros);
    PyBuffer_Release(&in);
    PyBuffer_Release(&out);
    return PyErr_Occurred() ? NULL : PyLong_FromSize_t(done);
}

#define START_BYTES 33 /* the signature and the chunk IHDR */
#define CHUNK_BYTES 12 /* of a chunk beside its content: size, name and checksum */
#define CRC_STEP 16

/* CRC-32 of a byte and as many zero bytes behind it. */
typedef uint32_t Crcs[CRC_STEP][256];

static uint32_t number_at(const byte *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t reversed_at(const byte *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void prepare_crc(Crcs crc_of)
{
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        crc_of[0][value] = crc;
    }
    for (int step = 1; step < CRC_STEP; step++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t crc = crc_of[step - 1][value];
            crc_of[step][value] = crc >> 8 ^ crc_of[0][crc & 0xFF];
        }
}

static uint32_t crc32_of(const Crcs of, const byte *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size >= CRC_STEP; size -= CRC_STEP, bytes += CRC_STEP) {
        uint32_t next[CRC_STEP / 4];
        for (int word = 0; word < CRC_STEP / 4; word++)
            next[word] = reversed_at(bytes + 4 * word);
        next[0] ^= crc;
        crc = 0;
        for (int index = 0; index < CRC_STEP; index++)
            crc ^= of[CRC_STEP - 1 - index][next[index / 4] >> index % 4 * 8 & 0xFF];
    }
    while (size-- > 0)
        crc = crc >> 8 ^ of[0][(crc ^ *bytes++) & 0xFF];
    return ~crc;
}

static int is_named(const byte *name, const char *expected)
{
    return memcmp(name, expected, 4) == 0;
}

/* Whether a chunk before the pixels may be passed over: it is optional, and neither alpha nor of one that moves. */
static int is_optional(const byte *name)
{
    return (name[0] & 0x20) && !is_named(name, "tRNS") && !is_named(name, "acTL");
}

/* Checks a file from its start to its end mark. Gives where its packed pixels begin and end; where they come in several
 * chunks, the end is -1. Returns 0 if it is damaged or unusual. */
static int find_packed(const Crcs crcs, const byte *start, const byte *file, size_t bytes, int64_t place, int64_t span[2])
{
    size_t at = START_BYTES;
    int has_pixels = 0, is_over = 0;

    if (bytes < START_BYTES || memcmp(file, start, START_BYTES) != 0)
        return 0;
    while (bytes - at >= CHUNK_BYTES) {
        size_t size = number_at(file + at);
        const byte *name = file + at + 4, *content = name + 4;
        if (size > bytes - at - CHUNK_BYTES || crc32_of(crcs, name, 4 + size) != number_at(content + size))
            return 0;
        if (is_named(name, "IEND"))
            return has_pixels;
        if (!is_named(name, "IDAT")) {
            is_over = has_pixels;
            if (!is_over && !is_optional(name))
                return 0;
        } else if (!is_over) {
            span[0] = has_pixels ? span[0] : place + (content - file);
            span[1] = has_pixels ? -1 : span[0] + (int64_t)size;
            has_pixels = 1;
        }
        at += CHUNK_BYTES + size;
    }
    return 0;
}

static int64_t place_of(const void *places, Py_ssize_t index)
{
    int64_t place;
    memcpy(&place, (const byte *)places + (size_t)index * sizeof place, sizeof place);
    return place;
}

/* Whether `count` files lie one after the other within `bytes`. */
static int are_in_order(const void *places, Py_ssize_t count, Py_ssize_t bytes)
{
    int64_t last = place_of(places, 0);
    if (last < 0)
        return 0;
    for (Py_ssize_t index = 1; index <= count; index++) {
        int64_t place = place_of(places, index);
        if (place < last || place > bytes)
            return 0;
        last = place;
    }
    return 1;
}

/* Touches no Python object. Returns how many files come before one that is damaged or unusual. */
static Py_ssize_t find_many(const byte *start, const byte *files, const void *places, Py_ssize_t count, byte *spans)
{
    Crcs crcs;
    Py_ssize_t index = 0;
    prepare_crc(crcs);
    for (; index < count; index++) {
        int64_t span[2], begin = place_of(places, index), end = place_of(places, index + 1);
        if (!find_packed((const uint32_t(*)[256])crcs, start, files + begin, (size_t)(end - begin), begin, span))
            break;
        memcpy(spans + (size_t)index * sizeof span, span, sizeof span);
    }
    return index;
}

PyDoc_STRVAR(find_pixels_doc,
             "find_pixels(files, places, spans, start)\n--\n\n"
             "Check PNGs of one form, up to the first that is damaged or unusual, and find their packed pixels.\n\n"
             "Args:\n"
             "    files: The bytes of the files, one after the other.\n"
             "    places: int64: where each begins, and where the last ends.\n"
             "    spans: Writable, int64: for each file, where its pixels begin and end in `files`; an end of -1: they\n"
             "        come in several chunks.\n"
             "    start: The 33 bytes, the signature and the checked IHDR, that each file is to begin with.\n\n"
             "Returns:\n"
             "    How many were found.\n\n"
             "Raises:\n"
             "    ValueError: If the sizes do not fit one another.");

static PyObject *find_pixels(PyObject *module, PyObject *args)
{
    Py_buffer files, places, spans, start;
    Py_ssize_t count, done = 0;
    const Py_ssize_t place_bytes = (Py_ssize_t)sizeof(int64_t);

    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*w*y*:find_pixels", &files, &places, &spans, &start))
        return NULL;
    count = places.len / place_bytes - 1;
    if (count < 1 || places.len % place_bytes != 0 || start.len != START_BYTES || spans.len != 2 * place_bytes * count ||
        !are_in_order(places.buf, count, files.len))
        PyErr_SetString(PyExc_ValueError, "find_pixels: arguments are out of range, or their sizes do not fit");
    else {
        int64_t bytes = place_of(places.buf, count) - place_of(places.buf, 0);
        PyThreadState *state = bytes >= RELEASE_GIL_FROM ? PyEval_SaveThread() : NULL;
        done = find_many(start.buf, files.buf, places.buf, count, spans.buf);
        if (state != NULL)
            PyEval_RestoreThread(state);
    }
    PyBuffer_Release(&files);
    PyBuffer_Release(&places);
    PyBuffer_Release(&spans);
    PyBuffer_Release(&start);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(done);
}

static PyMethodDef methods[] = {
    {"unfilter", unfilter, METH_VARARGS, unfilter_doc},
    {"find_pixels", find_pixels, METH_VARARGS, find_pixels_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "loaders.decoding._png",
    .m_doc = "PNG into pixels.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__png(void)
{
    return PyModuleDef_Init(&definition);
}
