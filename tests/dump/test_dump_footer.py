"""A footer says what PyArrow would say of it, and one that is damaged is found before PyArrow sees it."""

from collections.abc import Callable
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autointerp.dump.footer import FooterError, read_footer


def file_of(table: pa.Table, *, rows: int | None = None, statistics: bool = True) -> bytes:
    target = BytesIO()
    pq.write_table(table, target, row_group_size=rows, write_statistics=statistics)
    return target.getvalue()


TABLE = pa.table(
    {
        "small": pa.array([3, None, 5, 9], pa.int32()),
        "large": pa.array([-(2**62), 0, 1, 2**62]),
        "wide": [0.5, -2.5, 4.0, float("nan")],
        "text": ["a", None, None, "b"],
        "counts": [[1, 2], None, [], [3]],
        "deep": [{"a": 1, "b": [{"c": 1}]}] * 4,
        "unsigned": pa.array([1, 2, 3, 2**32 - 1], pa.uint32()),
    }
)


def test_rows_bounds_and_nulls_are_those_of_each_row_group():
    footer = read_footer(BytesIO(file_of(TABLE, rows=2)))

    assert list(footer.groups[0].chunks) == [
        "small",
        "large",
        "wide",
        "text",
        "counts.list.element",
        "deep.a",
        "deep.b.list.element.c",
        "unsigned",
    ]
    assert [group.rows for group in footer.groups] == [2, 2]
    first, second = ([*group.chunks.values()] for group in footer.groups)
    assert [(c.low, c.high, c.n_null) for c in first[:4]] == [
        (3, 3, 1),
        (-(2**62), 0, 0),
        (-2.5, 0.5, 0),
        (None, None, 1),
    ]
    assert [(c.low, c.high, c.n_null) for c in second[:2]] == [(5, 9, 0), (1, 2**62, 0)]
    # The bytes of an unsigned number are not those of a signed one.
    assert (second[7].low, second[7].high) == (None, None)


def test_without_statistics_there_are_no_bounds():
    footer = read_footer(BytesIO(file_of(TABLE, statistics=False)))

    assert {(c.low, c.high, c.n_null) for c in footer.groups[0].chunks.values()} == {(None, None, None)}


def test_a_footer_longer_than_the_first_guess_is_read_whole():
    table = pa.table({f"column {i}": [1] for i in range(2000)})
    data = file_of(table)

    footer = read_footer(BytesIO(data))

    assert len(footer.raw) > 2**16
    assert len(footer.groups[0].chunks) == 2000


def test_its_bytes_alone_are_a_file_that_pyarrow_reads():
    footer = read_footer(BytesIO(file_of(TABLE, rows=1)))

    found = pq.read_metadata(BytesIO(footer.as_file()))

    assert (found.num_rows, found.num_row_groups, found.num_columns) == (4, 4, 8)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"", "it does not end as one does"),
        (lambda data: data[:-1], "it does not end as one does"),
        (lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1", "its footer is longer than the file"),
        (lambda data: data[:-8] + b"\x05\0\0\0PAR1", "its footer lacks the number of rows"),
        (lambda data: b"PAR1" + b"\x19" * 40 + b"\x28\0\0\0PAR1", "its footer "),
        (lambda data: b"PAR1" + b"\x1c" * 2000 + b"\xd0\x07\0\0PAR1", "its footer is nested too deep"),
        (lambda data: b"PAR1" + b"\0" * 4 + b"\x04\0\0\0PAR1", "its footer lacks the number of rows"),
    ],
)
def test_a_damaged_footer_is_said_so(spoil: Callable[[bytes], bytes], said: str):
    with pytest.raises(FooterError, match=f"^{said}"):
        read_footer(BytesIO(spoil(file_of(TABLE))))
