"""Memory that ranges of files are read into is used again, and never while somebody reads from it."""

import pyarrow as pa

from loaders.reading.ranges import Ranges, Rooms

SIZE = 100_000


def filled(ranges, start, data):
    ranges.room(start, len(data))[:] = data
    return ranges


def read(ranges, start, length):
    with ranges.stream() as stream:
        stream.seek(start)
        return stream.read(length)


def test_a_range_lies_at_its_place_in_the_file_and_zeros_around_it():
    for ranges in (Ranges(SIZE), Rooms().ranges(SIZE, 70_000, 70_003)):
        filled(ranges, 70_000, b"abc")
        assert bytes(ranges.part(70_000, 3)) == b"abc"
        assert read(ranges, 69_998, 7) == b"\0\0abc\0\0"
        assert read(ranges, 0, SIZE + 1) == b"\0" * 70_000 + b"abc" + b"\0" * (SIZE - 70_003)


def test_one_row_group_after_the_other_is_read_into_the_same_memory_wherever_it_lies():
    rooms, places = Rooms(), set()
    for start in (0, 70_000, 99_000, 4):
        ranges = filled(rooms.ranges(SIZE, start, start + 4), start, b"abcd")
        assert read(ranges, start, 4) == b"abcd"
        places.add(pa.py_buffer(ranges.part(start, 4)).address)
        del ranges
    assert len(places) == 1


def test_memory_that_an_array_reads_from_is_not_used_again():
    rooms = Rooms()
    ranges = filled(rooms.ranges(SIZE, 8, 16), 8, b"12345678")
    kept = ranges.stream().read_buffer(16)
    part = ranges.part(8, 4)
    del ranges
    filled(rooms.ranges(SIZE, 8, 16), 8, b"xxxxxxxx")
    assert kept.to_pybytes()[8:] == b"12345678"
    assert bytes(part) == b"1234"


def test_a_larger_file_gets_memory_of_its_size():
    rooms = Rooms()
    assert read(filled(rooms.ranges(SIZE, 8, 10), 8, b"ab"), 8, 2) == b"ab"
    ranges = filled(rooms.ranges(50 << 20, (50 << 20) - 2, 50 << 20), (50 << 20) - 2, b"yz")
    assert read(ranges, (50 << 20) - 2, 3) == b"yz"
