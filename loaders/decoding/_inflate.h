/* Inflate (RFC 1950, 1951) a stream that lies in memory, to a size that is known before. Made for `_png.c`, where many
 * small streams are read without the GIL: 3 kB in 10 us, where zlib takes 15.
 *
 * It gives the right bytes, their checksum compared, or it refuses and says nothing more: the caller then asks a
 * library. It refuses all that zlib refuses.
 *
 * A code is looked up by its first bits in a table, and if it is longer, by its other bits in a table of those that
 * begin so. Entries are what remains to be known of a symbol:
 *
 *     bits 0-7    bits that the symbol takes: its code's (in a second table the rest of its code's) and the extra bits
 *     bits 8-11   of these, the code's; if it leads to a second table, how many bits that is looked up by
 *     bits 12-15  what it is
 *     bits 16-31  a literal, the first length or distance to which the extra bits add, or where the second table begins
 */

#ifndef PETREL_INFLATE_H
#define PETREL_INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INFLATE_READS_BEHIND 16 /* readable bytes that the caller has behind a stream */
#define INFLATE_WRITES_BEHIND 320 /* writable bytes that the caller has behind what is to come out */

#define LITERAL 0x8000u
#define SPECIAL 0x4000u /* the end of a block, a second table, or if it is neither: no code begins so */
#define END 0x2000u
#define SECOND 0x1000u

#define MAX_CODE 15
#define SYMBOL_BITS 11
#define DISTANCE_BITS 8
#define ORDER_BITS 7
#define SYMBOLS 288
#define DISTANCES 32
#define ORDERS 19
#define SYMBOL_ENTRIES 2560 /* more than any set of codes needs; `make_table` refuses what would not fit */
#define DISTANCE_ENTRIES 512
#define ADLER_BYTES 4

typedef struct {
    uint32_t symbol_of[SYMBOLS], distance_of[DISTANCES], order_of[ORDERS]; /* entries for a code of no bits */
    uint32_t symbols[SYMBOL_ENTRIES], distances[DISTANCE_ENTRIES], orders[1 << ORDER_BITS];
    unsigned char lengths[SYMBOLS + DISTANCES]; /* of codes */
    int is_fixed; /* the tables are those of the codes that every block may use */
} Inflater;

/* What was read but not yet used: `count` bits, the next one lowest. Bits above are those that follow, or zeros. */
typedef struct {
    uint64_t bits;
    unsigned int count;
    const unsigned char *next, *end;
} Input;

static void prepare_inflater(Inflater *inflater)
{
    static const uint16_t lengths[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const unsigned char length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    for (uint32_t symbol = 0; symbol < SYMBOLS; symbol++)
        inflater->symbol_of[symbol] = symbol < 256 ? symbol << 16 | LITERAL : SPECIAL;
    inflater->symbol_of[256] |= END;
    for (uint32_t index = 0; index < 29; index++)
        inflater->symbol_of[257 + index] = (uint32_t)lengths[index] << 16 | length_bits[index];
    inflater->is_fixed = 0;
    for (uint32_t symbol = 0; symbol < DISTANCES; symbol++) {
        uint32_t extra = symbol < 2 ? 0 : symbol / 2 - 1;
        uint32_t first = symbol < 2 ? 1 + symbol : 1 + ((2 + symbol % 2) << extra);
        inflater->distance_of[symbol] = symbol < 30 ? first << 16 | extra : SPECIAL;
    }
    for (uint32_t symbol = 0; symbol < ORDERS; symbol++)
        inflater->order_of[symbol] = symbol << 16;
}

/* Make the table of canonical codes of these lengths. Returns 0 if there are too many codes, or too few: where
 * `may_be_few`, there may be none, or one of one bit. */
static int make_table(uint32_t *table, size_t entries, unsigned int root_bits, const uint32_t *entry_of,
                      const unsigned char *lengths, unsigned int symbols, int may_be_few)
{
    unsigned int with[MAX_CODE + 1] = {0}, at[MAX_CODE + 2] = {0}, longest = MAX_CODE, prefix = ~0u;
    uint16_t sorted[SYMBOLS];
    unsigned int code = 0, second_bits = 0; /* the code's first bit is the lowest */
    size_t root = (size_t)1 << root_bits, begin = 0, end = root;
    int left = 1;

    for (unsigned int symbol = 0; symbol < symbols; symbol++)
        with[lengths[symbol]]++;
    with[0] = 0;
    while (longest > 0 && with[longest] == 0)
        longest--;
    for (unsigned int length = 1; length <= MAX_CODE; length++) {
        left = 2 * left - (int)with[length];
        if (left < 0)
            return 0;
        at[length + 1] = at[length] + with[length];
    }
    if (left > 0) {
        if (longest > 1 || !may_be_few)
            return 0;
        for (size_t index = 0; index < root; index++)
            table[index] = SPECIAL;
    }
    for (unsigned int symbol = 0; symbol < symbols; symbol++)
        if (lengths[symbol] != 0)
            sorted[at[lengths[symbol]]++] = (uint16_t)symbol;
    /* Now at[length] is one behind the last symbol of that length. */
    for (unsigned int length = 1, index = 0; length <= longest; length++)
        for (; index < at[length]; index++, with[length]--) {
            uint32_t entry = entry_of[sorted[index]];
            unsigned int carry = 1u << (length - 1);
            if (length <= root_bits) {
                entry += 0x101u * length;
                for (size_t place = code; place < root; place += (size_t)1 << length)
                    table[place] = entry;
            } else {
                unsigned int rest = length - root_bits;
                if ((code & (root - 1)) != prefix) { /* the next table: as large as all codes that begin so need */
                    int room;
                    prefix = code & (unsigned int)(root - 1);
                    second_bits = rest;
                    room = 1 << second_bits;
                    while (second_bits + root_bits < longest && (room -= (int)with[second_bits + root_bits]) > 0) {
                        second_bits++;
                        room <<= 1;
                    }
                    begin = end;
                    end += (size_t)1 << second_bits;
                    if (end > entries)
                        return 0;
                    table[prefix] = (uint32_t)begin << 16 | SPECIAL | SECOND | second_bits << 8 | root_bits;
                }
                entry += 0x101u * rest;
                for (size_t place = begin + (code >> root_bits); place < end; place += (size_t)1 << rest)
                    table[place] = entry;
            }
            while (code & carry) /* add one, from the code's last bit */
                carry >>= 1;
            code = carry == 0 ? 0 : (code & (carry - 1)) + carry;
        }
    return 1;
}

/* Have 56 bits or more. Returns 0 if the stream is over: of one that is whole, at least the checksum is not used yet,
 * so never more than 3 bytes behind its end were read before. */
static inline int refill(Input *input)
{
    const unsigned char *next = input->next;
    if (next - input->end > 7 - ADLER_BYTES)
        return 0;
    input->bits |= ((uint64_t)next[0] | (uint64_t)next[1] << 8 | (uint64_t)next[2] << 16 | (uint64_t)next[3] << 24 |
                    (uint64_t)next[4] << 32 | (uint64_t)next[5] << 40 | (uint64_t)next[6] << 48 |
                    (uint64_t)next[7] << 56)
                   << input->count;
    input->next += (63 - input->count) >> 3;
    input->count |= 56;
    return 1;
}

static inline unsigned int take(Input *input, unsigned int count)
{
    unsigned int found = (unsigned int)(input->bits & (((uint64_t)1 << count) - 1));
    input->bits >>= count;
    input->count -= count;
    return found;
}

/* Return the length or distance of an entry whose extra bits are among `bits`. */
static inline unsigned int value_of(uint32_t entry, uint64_t bits)
{
    return (entry >> 16) + (unsigned int)((bits & (((uint64_t)1 << (entry & 0xFF)) - 1)) >> (entry >> 8 & 0xF));
}

static inline void use(Input *input, uint32_t entry)
{
    input->bits >>= entry & 0xFF;
    input->count -= entry & 0xFF;
}

static inline uint32_t look_up(const uint32_t *table, unsigned int root_bits, const Input *input)
{
    return table[input->bits & (((uint64_t)1 << root_bits) - 1)];
}

static inline uint32_t look_up_second(const uint32_t *table, uint32_t entry, Input *input)
{
    use(input, entry);
    return table[(entry >> 16) + (input->bits & (((uint64_t)1 << (entry >> 8 & 0xF)) - 1))];
}

/* Go back to the next whole byte that is not used. */
static void to_bytes(Input *input)
{
    input->next -= input->count >> 3;
    input->bits = 0;
    input->count = 0;
}

/* Copy what lies `distance` before `out`; may write 7 bytes more. */
static inline void copy_match(unsigned char *out, unsigned int distance, unsigned int length)
{
    const unsigned char *from = out - distance;
    const unsigned char *end = out + length;
    if (distance >= 8)
        for (; out < end; out += 8, from += 8)
            memcpy(out, from, 8);
    else if (distance == 1)
        memset(out, *from, length);
    else
        while (out < end)
            *out++ = *from++;
}

/* Returns where the block ends, NULL if it is damaged or more than `limit` comes out. */
static unsigned char *inflate_codes(const Inflater *inflater, Input *caller, unsigned char *begin, unsigned char *out,
                                    const unsigned char *limit)
{
    Input input = *caller; /* in registers */
    for (;;) {
        uint32_t entry;
        unsigned int length, distance;
        if (!refill(&input) || out > limit)
            return NULL;
        /* Of 56 bits, four literals take 48 at most, a length after three 53. */
        entry = look_up(inflater->symbols, SYMBOL_BITS, &input);
        for (int count = 0; count < 3 && (entry & LITERAL); count++) {
            use(&input, entry);
            *out++ = (unsigned char)(entry >> 16);
            entry = look_up(inflater->symbols, SYMBOL_BITS, &input);
        }
        if (entry & SECOND)
            entry = look_up_second(inflater->symbols, entry, &input);
        if (entry & LITERAL) {
            use(&input, entry);
            *out++ = (unsigned char)(entry >> 16);
            continue;
        }
        if (entry & SPECIAL) {
            use(&input, entry);
            *caller = input;
            return entry & END ? out : NULL;
        }
        length = value_of(entry, input.bits);
        use(&input, entry);
        if (!refill(&input))
            return NULL;
        entry = look_up(inflater->distances, DISTANCE_BITS, &input);
        if (entry & SECOND)
            entry = look_up_second(inflater->distances, entry, &input);
        if (entry & SPECIAL)
            return NULL;
        distance = value_of(entry, input.bits);
        use(&input, entry);
        if (distance > (size_t)(out - begin))
            return NULL;
        copy_match(out, distance, length);
        out += length;
    }
}

static unsigned char *inflate_stored(Input *input, unsigned char *out, const unsigned char *limit)
{
    size_t size;
    to_bytes(input);
    if (input->end - input->next < 4)
        return NULL;
    size = input->next[0] | (size_t)input->next[1] << 8;
    if (size != ((input->next[2] | (size_t)input->next[3] << 8) ^ 0xFFFF))
        return NULL;
    input->next += 4;
    if (input->end - input->next < (ptrdiff_t)size || out > limit || limit - out < (ptrdiff_t)size)
        return NULL;
    memcpy(out, input->next, size);
    input->next += size;
    return out + size;
}

static int make_fixed_tables(Inflater *inflater)
{
    unsigned char *lengths = inflater->lengths;
    if (inflater->is_fixed) /* a block may be empty, and take ten bits */
        return 1;
    inflater->is_fixed = 1;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(lengths + SYMBOLS, 5, DISTANCES);
    return make_table(inflater->symbols, SYMBOL_ENTRIES, SYMBOL_BITS, inflater->symbol_of, lengths, SYMBOLS,
                      0) &&
           make_table(inflater->distances, DISTANCE_ENTRIES, DISTANCE_BITS, inflater->distance_of, lengths + SYMBOLS,
                      DISTANCES, 0);
}

/* Read the lengths of the codes of a block, and make its tables. */
static int read_tables(Inflater *inflater, Input *input)
{
    static const unsigned char places[ORDERS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    unsigned char order_lengths[ORDERS] = {0}, *lengths = inflater->lengths;
    unsigned int symbols, distances, orders, at = 0;

    inflater->is_fixed = 0;
    if (!refill(input))
        return 0;
    symbols = 257 + take(input, 5);
    distances = 1 + take(input, 5);
    orders = 4 + take(input, 4);
    if (symbols > 286 || distances > 30)
        return 0;
    for (unsigned int index = 0; index < orders; index++) {
        if (index % 8 == 0 && !refill(input))
            return 0;
        order_lengths[places[index]] = (unsigned char)take(input, 3);
    }
    if (!make_table(inflater->orders, 1 << ORDER_BITS, ORDER_BITS, inflater->order_of, order_lengths, ORDERS,
                    0))
        return 0;
    while (at < symbols + distances) {
        uint32_t entry;
        unsigned int order, repeats;
        unsigned char length = 0;
        if (!refill(input))
            return 0;
        entry = look_up(inflater->orders, ORDER_BITS, input);
        use(input, entry);
        order = entry >> 16;
        if (order < 16) {
            lengths[at++] = (unsigned char)order;
            continue;
        }
        if (order == 16) {
            if (at == 0)
                return 0;
            length = lengths[at - 1];
        }
        repeats = order == 16 ? 3 + take(input, 2) : order == 17 ? 3 + take(input, 3) : 11 + take(input, 7);
        if (repeats > symbols + distances - at)
            return 0;
        memset(lengths + at, length, repeats);
        at += repeats;
    }
    return lengths[256] != 0 &&
           make_table(inflater->symbols, SYMBOL_ENTRIES, SYMBOL_BITS, inflater->symbol_of, lengths, symbols,
                      1) &&
           make_table(inflater->distances, DISTANCE_ENTRIES, DISTANCE_BITS, inflater->distance_of, lengths + symbols,
                      distances, 1);
}

static uint32_t adler32(const unsigned char *bytes, size_t size)
{
    uint32_t sum = 1, sum_of_sums = 0;
    while (size > 0) {
        size_t part = size < 5552 ? size : 5552; /* so many fit into 32 bits */
        size -= part;
        for (; part >= 16; part -= 16, bytes += 16) {
            uint16_t plain = 0, weighted = 0; /* as wide as is enough: so this is done at once by machines that can */
            for (unsigned int index = 0; index < 16; index++) {
                plain = (uint16_t)(plain + bytes[index]);
                weighted = (uint16_t)(weighted + (16 - index) * bytes[index]);
            }
            sum_of_sums += 16 * sum + weighted;
            sum += plain;
        }
        for (; part > 0; part--) {
            sum += *bytes++;
            sum_of_sums += sum;
        }
        sum %= 65521;
        sum_of_sums %= 65521;
    }
    return sum_of_sums << 16 | sum;
}

/* Inflate a stream with zlib's header and checksum, to `size` bytes; what follows it is passed over.
 *
 * INFLATE_READS_BEHIND bytes behind `stream` may be read, INFLATE_WRITES_BEHIND behind `begin` + `size` be written.
 * Touches nothing else, whatever the stream has. Returns 0, and leaves anything there, if it is damaged or
 * its size is another. */
static int inflate_all(Inflater *inflater, const unsigned char *stream, size_t bytes, unsigned char *begin, size_t size)
{
    Input input = {0, 0, stream + 2, stream + bytes};
    unsigned char *out = begin;
    const unsigned char *limit = begin + size;
    int is_last = 0;

    if (bytes < 2 + ADLER_BYTES || (stream[0] & 0xF) != 8 || stream[0] >> 4 > 7 || (stream[0] << 8 | stream[1]) % 31 ||
        (stream[1] & 0x20)) /* a dictionary */
        return 0;
    while (!is_last) {
        unsigned int kind;
        if (!refill(&input))
            return 0;
        is_last = (int)take(&input, 1);
        kind = take(&input, 2);
        if (kind == 0)
            out = inflate_stored(&input, out, limit);
        else if (kind == 3 || !(kind == 1 ? make_fixed_tables(inflater) : read_tables(inflater, &input)))
            return 0;
        else
            out = inflate_codes(inflater, &input, begin, out, limit);
        if (out == NULL)
            return 0;
    }
    to_bytes(&input);
    if (out != limit || input.end - input.next < ADLER_BYTES)
        return 0;
    return ((uint32_t)input.next[0] << 24 | (uint32_t)input.next[1] << 16 | (uint32_t)input.next[2] << 8 |
            input.next[3]) == adler32(begin, size);
}

#endif
