/* Decode a box of a JPEG, without the GIL: rows above it are skipped, those below are not read, and columns beside it
 * cost no transform. `loaders/decoding/pictures.py` is the caller and says what is handed in; nothing here is global, so any
 * number of threads may.
 *
 * What a box needs beyond its pixels: chroma that is interpolated looks one sample to each side, so the box is widened.
 * A picture whose scans are incomplete is smoothed over neighbouring blocks, by each version of the library in its own
 * way: it is left to the version that `pictures.py` can pin.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#if !defined(LIBJPEG_TURBO_VERSION_NUMBER) || LIBJPEG_TURBO_VERSION_NUMBER < 2001000
#error "libjpeg-turbo 2.1 or newer is needed"
#endif
#if JPEG_LIB_VERSION >= 70
#define BLOCK_WIDTH(info) ((info)->min_DCT_h_scaled_size)
#else
#define BLOCK_WIDTH(info) ((info)->min_DCT_scaled_size)
#endif

#define MAX_SCANS 100 /* encoders write about ten; each may cost a pass over the whole picture */
#define MARGIN 2 /* pixels: one sample of chroma at half the width */
#define EIGHTHS 8
#define ROWS_AT_ONCE 8

typedef struct {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf on_error;
    char message[JMSG_LENGTH_MAX];
    /* What is asked for. */
    const unsigned char *raw;
    size_t raw_bytes;
    unsigned char *out; /* (height, width, channels) */
    JDIMENSION left, top, width, height;
    int channels;
    unsigned int eighths; /* the picture is scaled by eighths / 8, and so are the coordinates */
    unsigned long long max_pixels;
    int is_for_others; /* not damaged, but not ours */
} Job;

static Job *job_of(j_common_ptr info)
{
    return (Job *)info->client_data;
}

static void fail(Job *job, const char *message)
{
    snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->on_error, 1);
}

static void error_exit(j_common_ptr info)
{
    Job *job = job_of(info);
    info->err->format_message(info, job->message);
    longjmp(job->on_error, 1);
}

/* A warning is damage that libjpeg would paint over. */
static void emit_message(j_common_ptr info, int level)
{
    if (level < 0)
        error_exit(info);
}

static void no_output(j_common_ptr info)
{
    (void)info;
}

static void no_source_work(j_decompress_ptr info)
{
    (void)info;
}

/* Everything is in memory from the start: to ask for more is to be at the end. */
static boolean input_is_over(j_decompress_ptr info)
{
    fail(job_of((j_common_ptr)info), "the JPEG is truncated");
    return FALSE;
}

static void skip_input(j_decompress_ptr info, long bytes)
{
    struct jpeg_source_mgr *source = info->src;
    if (bytes <= 0)
        return;
    if ((unsigned long)bytes > source->bytes_in_buffer)
        input_is_over(info);
    source->next_input_byte += bytes;
    source->bytes_in_buffer -= (size_t)bytes;
}

static void count_scans(j_common_ptr info)
{
    if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > MAX_SCANS)
        fail(job_of(info), "the JPEG has more than 100 scans");
}

static void open_job(Job *job)
{
    j_decompress_ptr info = &job->info;
    info->err = jpeg_std_error(&job->errors);
    job->errors.error_exit = error_exit;
    job->errors.emit_message = emit_message;
    job->errors.output_message = no_output;
    info->client_data = job;
    jpeg_create_decompress(info); /* keeps err and client_data */
    job->source.init_source = no_source_work;
    job->source.fill_input_buffer = input_is_over;
    job->source.skip_input_data = skip_input;
    job->source.resync_to_restart = jpeg_resync_to_restart;
    job->source.term_source = no_source_work;
    job->source.next_input_byte = job->raw;
    job->source.bytes_in_buffer = job->raw_bytes;
    info->src = &job->source;
    job->progress.progress_monitor = count_scans;
    info->progress = &job->progress;
}

static void choose_colours(Job *job)
{
    j_decompress_ptr info = &job->info;
    int is_grey = info->jpeg_color_space == JCS_GRAYSCALE;
    if (!is_grey && info->jpeg_color_space != JCS_YCbCr && info->jpeg_color_space != JCS_RGB)
        fail(job, "the JPEG is neither grey nor YCbCr nor RGB");
    if (job->channels == 1 && !is_grey)
        fail(job, "the JPEG is not grey");
    info->out_color_space = job->channels == 1 ? JCS_GRAYSCALE : job->channels == 3 ? JCS_RGB : JCS_EXT_RGBA;
}

/* Whether bits that the scans left out make libjpeg smooth over blocks. */
static int is_smoothed(j_decompress_ptr info)
{
    if (!info->progressive_mode || info->coef_bits == NULL)
        return 0;
    for (int component = 0; component < info->num_components; component++)
        for (int index = 0; index < DCTSIZE2; index++)
            if (info->coef_bits[component][index] != 0)
                return 1;
    return 0;
}

/* Narrow what is decoded to the columns of the box and what they need; returns the first column of it. */
static JDIMENSION crop_columns(Job *job)
{
    j_decompress_ptr info = &job->info;
    JDIMENSION first = job->left > MARGIN ? job->left - MARGIN : 0;
    JDIMENSION end = job->left + job->width + MARGIN;
    JDIMENSION unit = (JDIMENSION)(info->max_h_samp_factor * BLOCK_WIDTH(info));
    JDIMENSION count;
    if (end > info->output_width)
        end = info->output_width;
    if (end - first + unit > info->output_width)
        return 0; /* nothing to gain */
    count = end - first;
    jpeg_crop_scanline(info, &first, &count); /* moves `first` down to a unit */
    return first;
}

static void read_box(Job *job)
{
    j_decompress_ptr info = &job->info;
    size_t row_bytes = (size_t)job->width * (size_t)job->channels;
    int ends_well = job->raw_bytes >= 2 && job->raw[job->raw_bytes - 2] == 0xFF && job->raw[job->raw_bytes - 1] == 0xD9;
    JDIMENSION bottom = job->top + job->height, first, last_line;
    JSAMPARRAY scratch;

    if (bottom > info->output_height || job->left + job->width > info->output_width)
        fail(job, "the box is not inside the picture");
    first = crop_columns(job);
    if (job->top > 0)
        jpeg_skip_scanlines(info, job->top);
    scratch = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE,
                                      info->output_width * (JDIMENSION)info->output_components, ROWS_AT_ONCE);
    /* A file without an end marker at its end may be cut: only reading all of it shows that. */
    last_line = ends_well ? bottom : info->output_height;
    while (info->output_scanline < last_line) {
        JDIMENSION line = info->output_scanline, count = last_line - line;
        JSAMPROW rows[ROWS_AT_ONCE];
        int is_direct;
        if (count > ROWS_AT_ONCE)
            count = ROWS_AT_ONCE;
        is_direct = info->output_width == job->width && line >= job->top && line + count <= bottom;
        for (JDIMENSION at = 0; at < count; at++)
            rows[at] = is_direct ? job->out + (size_t)(line + at - job->top) * row_bytes : scratch[at];
        count = jpeg_read_scanlines(info, rows, count);
        for (JDIMENSION at = 0; !is_direct && at < count; at++)
            if (line + at >= job->top && line + at < bottom)
                memcpy(job->out + (size_t)(line + at - job->top) * row_bytes,
                       rows[at] + (size_t)(job->left - first) * (size_t)job->channels, row_bytes);
    }
    if (info->output_scanline >= info->output_height)
        jpeg_finish_decompress(info); /* reads up to the end marker */
}

/* Touches no Python object. Returns 0, or -1 with a message. */
static int run(Job *job)
{
    j_decompress_ptr info = &job->info;
    if (setjmp(job->on_error)) {
        jpeg_destroy_decompress(info);
        return -1;
    }
    open_job(job);
    jpeg_read_header(info, TRUE);
    if ((unsigned long long)info->image_width * info->image_height > job->max_pixels)
        fail(job, "the JPEG has more pixels than its first header says");
    choose_colours(job);
    info->scale_num = job->eighths;
    info->scale_denom = EIGHTHS;
    jpeg_start_decompress(info); /* of a picture in several scans, this reads all */
    if (is_smoothed(info)) {
        job->is_for_others = 1;
        fail(job, "the JPEG has incomplete scans");
    }
    read_box(job);
    jpeg_destroy_decompress(info);
    return 0;
}

PyDoc_STRVAR(decode_doc,
             "decode(raw, out, height, width, channels, left, top, eighths, max_pixels)\n--\n\n"
             "Decode the box of `height` x `width` pixels at (left, top) of a JPEG into `out`.\n\n"
             "Args:\n"
             "    raw: The file, contiguous bytes.\n"
             "    out: Writable, contiguous, height * width * channels bytes.\n"
             "    channels: 1 (grey pictures only), 3 (RGB) or 4 (RGB and 255).\n"
             "    eighths: The picture is scaled by eighths / 8, 1 to 8; the box lies in the scaled picture.\n"
             "    max_pixels: Refuse pictures with more, before memory is taken.\n\n"
             "Raises:\n"
             "    ValueError: If the JPEG is damaged, of another kind, or smaller than the box.\n"
             "    NotImplementedError: If its scans are incomplete, so that libjpeg would smooth it.");

static PyObject *decode(PyObject *module, PyObject *args)
{
    Job job;
    Py_buffer raw, out;
    Py_ssize_t height, width, left, top;
    unsigned long long max_pixels;
    int channels, eighths, failed;
    const Py_ssize_t limit = JPEG_MAX_DIMENSION;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*w*nninniK:decode", &raw, &out, &height, &width, &channels, &left, &top, &eighths,
                          &max_pixels))
        return NULL;
    failed = height < 1 || width < 1 || left < 0 || top < 0 || height > limit || width > limit || left > limit ||
             top > limit || !(channels == 1 || channels == 3 || channels == 4) || eighths < 1 || eighths > EIGHTHS ||
             out.len != height * width * channels;
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "decode: arguments are out of range, or `out` has another size than the box");
    } else {
        Py_BEGIN_ALLOW_THREADS
        memset(&job, 0, sizeof job);
        job.raw = raw.buf;
        job.raw_bytes = (size_t)raw.len;
        job.out = out.buf;
        job.left = (JDIMENSION)left;
        job.top = (JDIMENSION)top;
        job.width = (JDIMENSION)width;
        job.height = (JDIMENSION)height;
        job.channels = channels;
        job.eighths = (unsigned int)eighths;
        job.max_pixels = max_pixels;
        failed = run(&job);
        Py_END_ALLOW_THREADS
        if (failed)
            PyErr_SetString(job.is_for_others ? PyExc_NotImplementedError : PyExc_ValueError, job.message);
    }
    PyBuffer_Release(&raw);
    PyBuffer_Release(&out);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* Touches no Python object. Returns 0, or -1 with a message if the library found is not of the kind compiled for. */
static int probe(Job *job)
{
    if (setjmp(job->on_error)) {
        jpeg_destroy_decompress(&job->info);
        return -1;
    }
    open_job(job);
    jpeg_destroy_decompress(&job->info);
    return 0;
}

static int check_library(PyObject *module)
{
    Job job;
    (void)module;
    memset(&job, 0, sizeof job);
    if (probe(&job) == 0)
        return 0;
    PyErr_SetString(PyExc_ImportError, job.message);
    return -1;
}

static PyMethodDef methods[] = {
    {"decode", decode, METH_VARARGS, decode_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)check_library},
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "loaders.decoding._jpeg",
    .m_doc = "A box of a JPEG, decoded by libjpeg-turbo.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__jpeg(void)
{
    return PyModuleDef_Init(&definition);
}
