/* Undo the filters of a PNG: each row says by its first byte how its bytes were predicted from the pixel to the left
 * and the row above. All arithmetic is of integers and as the PNG specification says, so there is one right answer.
 *
 * Also read many PNGs of one form at once: what is usual is read here, and whatever is not is left to the caller,
 * `loaders/decoding/png.py`, which reads one after the other and says what is wrong with it.
 *
 * Without the GIL where that is worth more than getting it back.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_inflate.h"

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

/* Touches no Python object. `in` holds `rows` times a filter and `row_bytes`. Returns the first row whose filter does
 * not exist, `rows` if there is none. */
INLINE size_t undo_all(byte *out, const byte *in, const byte *zeros, size_t rows, size_t row_bytes, size_t pixel)
{
    const byte *above = zeros;
    size_t row = 0;
    for (; row < rows; row++) {
        if (undo_row(out, in, above, row_bytes, pixel) < 0)
            break;
        above = out;
        out += row_bytes;
        in += 1 + row_bytes;
    }
    return row;
}

static size_t undo(byte *out, const byte *in, const byte *zeros, size_t rows, size_t row_bytes, size_t pixel)
{
    switch (pixel) {
    case 1: return undo_all(out, in, zeros, rows, row_bytes, 1);
    case 2: return undo_all(out, in, zeros, rows, row_bytes, 2);
    case 3: return undo_all(out, in, zeros, rows, row_bytes, 3);
    default: return undo_all(out, in, zeros, rows, row_bytes, 6);
    }
}

PyDoc_STRVAR(unfilter_doc,
             "unfilter(filtered, out, row_bytes, pixel_bytes)\n--\n\n"
             "Undo the filters of the rows of a PNG.\n\n"
             "Args:\n"
             "    filtered: For each row its filter, one byte, and `row_bytes` bytes; what follows is not read.\n"
             "    out: Writable, contiguous, a multiple of `row_bytes` bytes.\n"
             "    row_bytes: A multiple of `pixel_bytes`.\n"
             "    pixel_bytes: 1, 2, 3 or 6.\n\n"
             "Raises:\n"
             "    ValueError: If there is no such filter, or the sizes do not fit one another.");

static PyObject *unfilter(PyObject *module, PyObject *args)
{
    Py_buffer in, out;
    Py_ssize_t row_bytes, pixel, rows = 0;
    size_t done = 0;
    byte *zeros = NULL;
    int fits;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*w*nn:unfilter", &in, &out, &row_bytes, &pixel))
        return NULL;
    fits = (pixel == 1 || pixel == 2 || pixel == 3 || pixel == 6) && row_bytes > 0 && row_bytes % pixel == 0 &&
           out.len > 0 && out.len % row_bytes == 0;
    if (fits) {
        rows = out.len / row_bytes;
        fits = in.len >= out.len && in.len - out.len >= rows; /* a sum might overflow */
    }
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "unfilter: arguments are out of range, or their sizes do not fit");
    else if ((zeros = PyMem_Calloc(1, (size_t)row_bytes)) == NULL)
        PyErr_NoMemory();
    else {
        PyThreadState *state = out.len >= RELEASE_GIL_FROM ? PyEval_SaveThread() : NULL;
        done = undo(out.buf, in.buf, zeros, (size_t)rows, (size_t)row_bytes, (size_t)pixel);
        if (state != NULL)
            PyEval_RestoreThread(state);
        if (done < (size_t)rows)
            PyErr_Format(PyExc_ValueError, "row %zu has filter %d, of 0 to 4", done,
                         (int)((const byte *)in.buf)[done * (1 + (size_t)row_bytes)]);
    }
    PyMem_Free(zeros);
    PyBuffer_Release(&in);
    PyBuffer_Release(&out);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

#define START_BYTES 33 /* the signature and the chunk IHDR */
#define CHUNK_BYTES 12 /* of a chunk beside its content: size, name and checksum */
#define CRC_STEP 16

/* What the pictures of a call share. */
typedef struct {
    const byte *start; /* START_BYTES: all files begin so */
    size_t rows, row_bytes, pixel;
    size_t filtered_bytes; /* rows * (1 + row_bytes) */
    byte *filtered; /* and INFLATE_WRITES_BEHIND: of one picture after the other */
    byte *zeros; /* row_bytes */
    byte *joined; /* NULL, or of the size of the largest file: packed pixels that came in more than one chunk */
    size_t largest;
    uint32_t crc_of[CRC_STEP][256]; /* of a byte and as many zero bytes behind it */
    Inflater inflater;
} Work;

static uint32_t number_at(const byte *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t reversed_at(const byte *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void prepare_crc(Work *work)
{
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        work->crc_of[0][value] = crc;
    }
    for (int step = 1; step < CRC_STEP; step++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t crc = work->crc_of[step - 1][value];
            work->crc_of[step][value] = crc >> 8 ^ work->crc_of[0][crc & 0xFF];
        }
}

static uint32_t crc32_of(const Work *work, const byte *bytes, size_t size)
{
    const uint32_t(*of)[256] = work->crc_of;
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

/* Checks a file from its start to its end mark. Returns its packed pixels, behind which there are INFLATE_READS_BEHIND
 * bytes; NULL if it is damaged or unusual, or there is no memory for them. */
static const byte *find_packed(Work *work, const byte *file, size_t bytes, size_t *packed_bytes)
{
    const byte *packed = NULL;
    size_t at = START_BYTES, found = 0;
    int is_over = 0;

    if (bytes < START_BYTES || memcmp(file, work->start, START_BYTES) != 0)
        return NULL;
    while (bytes - at >= CHUNK_BYTES) {
        size_t size = number_at(file + at);
        const byte *name = file + at + 4, *content = name + 4;
        if (size > bytes - at - CHUNK_BYTES || crc32_of(work, name, 4 + size) != number_at(content + size))
            return NULL;
        if (is_named(name, "IEND")) { /* this chunk and the checksum before it are the bytes behind the last pixels */
            *packed_bytes = found;
            return packed;
        }
        if (!is_named(name, "IDAT")) {
            is_over = packed != NULL;
            if (!is_over && !is_optional(name))
                return NULL;
        } else if (packed == NULL) {
            packed = content;
            found = size;
        } else if (!is_over) {
            if (work->joined == NULL && (work->joined = calloc(1, work->largest)) == NULL)
                return NULL;
            if (packed != work->joined)
                memcpy(work->joined, packed, found);
            packed = work->joined;
            memcpy(work->joined + found, content, size);
            found += size;
        }
        at += CHUNK_BYTES + size;
    }
    return NULL;
}

/* Of 16 bits, from the order of a file to the machine's. */
static void to_native(byte *out, size_t bytes)
{
    for (size_t at = 0; at + 2 <= bytes; at += 2) {
        uint16_t value = (uint16_t)(out[at] << 8 | out[at + 1]);
        memcpy(out + at, &value, 2);
    }
}

/* Returns 0 if it is damaged or unusual. */
static int read_one(Work *work, const byte *file, size_t bytes, byte *out)
{
    size_t packed_bytes = 0;
    const byte *packed = find_packed(work, file, bytes, &packed_bytes);
    if (packed == NULL ||
        !inflate_all(&work->inflater, packed, packed_bytes, work->filtered, work->filtered_bytes) ||
        undo(out, work->filtered, work->zeros, work->rows, work->row_bytes, work->pixel) < work->rows)
        return 0;
    if (work->pixel % 2 == 0)
        to_native(out, work->rows * work->row_bytes);
    return 1;
}

static int64_t place_of(const void *places, Py_ssize_t index)
{
    int64_t place;
    memcpy(&place, (const byte *)places + (size_t)index * sizeof place, sizeof place);
    return place;
}

/* Returns the size of the largest of `count` files; -1 if they do not lie one after the other within `bytes`. */
static Py_ssize_t largest_of(const void *places, Py_ssize_t count, Py_ssize_t bytes)
{
    int64_t last = place_of(places, 0), largest = 0;
    if (last < 0)
        return -1;
    for (Py_ssize_t index = 1; index <= count; index++) {
        int64_t place = place_of(places, index);
        if (place < last || place > bytes)
            return -1;
        if (place - last > largest)
            largest = place - last;
        last = place;
    }
    return (Py_ssize_t)largest;
}

/* Touches no Python object. Returns how many pictures it read before one that is damaged or unusual; -1: no memory. */
static Py_ssize_t read_many(Work *work, const byte *files, const void *places, Py_ssize_t count, byte *out)
{
    Py_ssize_t index = 0;
    work->filtered_bytes = work->rows * (1 + work->row_bytes);
    work->filtered = malloc(work->filtered_bytes + INFLATE_WRITES_BEHIND);
    work->zeros = calloc(1, work->row_bytes);
    if (work->filtered == NULL || work->zeros == NULL)
        index = -1;
    else {
        prepare_crc(work);
        prepare_inflater(&work->inflater);
        for (; index < count; index++, out += work->rows * work->row_bytes) {
            int64_t begin = place_of(places, index), end = place_of(places, index + 1);
            if (!read_one(work, files + begin, (size_t)(end - begin), out))
                break;
        }
    }
    free(work->filtered);
    free(work->zeros);
    free(work->joined);
    return index;
}

PyDoc_STRVAR(read_all_doc,
             "read_all(files, places, out, start, row_bytes, pixel_bytes)\n--\n\n"
             "Read PNGs of one form, up to the first that is damaged or unusual.\n\n"
             "Args:\n"
             "    files: The bytes of the files, one after the other.\n"
             "    places: int64: where each begins, and where the last ends.\n"
             "    out: Writable, contiguous; each picture has the same part of it.\n"
             "    start: The 33 bytes, the signature and the checked IHDR, that each file is to begin with.\n"
             "    row_bytes: A multiple of `pixel_bytes`.\n"
             "    pixel_bytes: 1 or 3 of 8 bits; 2 or 6 of 16 bits.\n\n"
             "Returns:\n"
             "    How many were read. If not all, the pixels of the next are undefined.\n\n"
             "Raises:\n"
             "    ValueError: If the sizes do not fit one another.");

static PyObject *read_all(PyObject *module, PyObject *args)
{
    Work work;
    Py_buffer files, places, out, start;
    Py_ssize_t row_bytes, pixel, count, largest, done = -1;
    const Py_ssize_t place_bytes = (Py_ssize_t)sizeof(int64_t);

    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*w*y*nn:read_all", &files, &places, &out, &start, &row_bytes, &pixel))
        return NULL;
    count = places.len / place_bytes - 1;
    largest = count > 0 && places.len % place_bytes == 0 ? largest_of(places.buf, count, files.len) : -1;
    if (!(pixel == 1 || pixel == 2 || pixel == 3 || pixel == 6) || row_bytes <= 0 || row_bytes % pixel != 0 ||
        start.len != START_BYTES || largest < 0 || out.len <= 0 || out.len % count != 0 ||
        out.len / count % row_bytes != 0)
        PyErr_SetString(PyExc_ValueError, "read_all: arguments are out of range, or their sizes do not fit");
    else {
        PyThreadState *state = out.len >= RELEASE_GIL_FROM ? PyEval_SaveThread() : NULL;
        work.start = start.buf;
        work.row_bytes = (size_t)row_bytes;
        work.pixel = (size_t)pixel;
        work.rows = (size_t)(out.len / count / row_bytes);
        work.joined = NULL;
        work.largest = (size_t)largest;
        done = read_many(&work, files.buf, places.buf, count, out.buf);
        if (state != NULL)
            PyEval_RestoreThread(state);
        if (done < 0)
            PyErr_NoMemory();
    }
    PyBuffer_Release(&files);
    PyBuffer_Release(&places);
    PyBuffer_Release(&out);
    PyBuffer_Release(&start);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(done);
}

static PyMethodDef methods[] = {
    {"unfilter", unfilter, METH_VARARGS, unfilter_doc},
    {"read_all", read_all, METH_VARARGS, read_all_doc},
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
