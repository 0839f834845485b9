/* Undo the filters of a PNG: each row says by its first byte how its bytes were predicted from the pixel to the left
 * and the row above. `loaders/decoding/png.py` is the caller: it walks the chunks, checks the checksums and inflates.
 * All arithmetic is of integers and as the PNG specification says, so there is one right answer.
 *
 * Without the GIL where that is worth more than getting it back.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

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

static PyMethodDef methods[] = {
    {"unfilter", unfilter, METH_VARARGS, unfilter_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "loaders.decoding._png",
    .m_doc = "The filters of PNG, undone.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__png(void)
{
    return PyModuleDef_Init(&definition);
}
