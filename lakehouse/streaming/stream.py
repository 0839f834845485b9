"""`lake.stream`: the rows of a query as batches, in its order, with their bytes decoded straight from the lake.

The query is asked once, contained as every query of people's, over tables that are pinned when the stream opens; its
rows lie on disk, without bytes. A window of batches is made ahead by threads that read and decode: memory holds those,
whatever the query returns. Nothing is published; `petrel materialise --query` does that, for what is read many times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.media.kinds.registry import judges_of
from lakehouse.names import nearest
from lakehouse.params import Params
from lakehouse.query import Pins
from lakehouse.streaming.asking import Rows, question_of
from lakehouse.streaming.batches import Maker
from lakehouse.streaming.sharing import (
    State,
    Tail,
    check_same_run,
    parse_state,
    places_of,
    same_question,
    steps_of,
)
from lakehouse.tensors.registered import called_in
from loaders.agreement import check_agreement
from loaders.decoding.values import Batch
from loaders.errors import DeadlineError, FormatError, StateMismatchError
from loaders.format.fields import Field
from loaders.options import Shard, usable_cores
from loaders.workers.shell import ReaderShell
from loaders.workers.threads import Pool, wait_done

MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How to stream; none of these changes the order.

    Attributes:
        tail: What becomes of the last N mod (batch size x world) rows: `pad` fills the last batch up and `is_pad` marks
            the filler; `drop` leaves them out; `ragged` gives a shorter batch, on one rank only.
        ahead: Batches that are made ahead: what memory holds, beside the one that the caller has.
        workers: Threads that read and decode, each a batch at a time. None: one for each core, at most 8.
        deadline_s: Seconds in which every batch comes or DeadlineError is raised.
    """

    tail: Tail = "pad"
    ahead: int = 4
    workers: int | None = None
    deadline_s: float = 120.0

    def __post_init__(self) -> None:
        if self.tail not in ("pad", "drop", "ragged"):
            raise FormatError(f"tail must be one of pad, drop, ragged, found {self.tail!r}")
        if self.ahead < 1 or (self.workers is not None and self.workers < 1) or not self.deadline_s > 0:
            raise FormatError("ahead and workers must be at least 1, deadline_s positive")


def stream(
    lake: Lake,
    query: str,
    *,
    batch_size: int,
    params: Params | None = None,
    pins: Pins | None = None,
    columns: Sequence[str] | None = None,
    decoders: Mapping[str, Any] | None = None,
    transform: Callable[[Batch], Batch] | None = None,
    shard: Shard | None = None,
    seed: int = 0,
    options: StreamOptions | None = None,
) -> QueryStream:
    """Stream the rows of a query with the bytes of their entities.

    Args:
        lake: The lake.
        query: One SELECT that returns `entity_id`, in DuckDB's dialect; what else it returns comes with it. Its rows
            come in its order; where that leaves some equal, by entity_id and the other columns. The same entity may be
            in several rows.
        batch_size: Rows of each batch of this rank.
        params: Values for `$name` in it.
        pins: Table -> Delta version; what is not pinned is read as it is now, for as long as the stream is open. The
            state says the versions, and a stream that loads it goes on with them. Ranks without an exchange need them:
            `stream_pins` once, for all.
        columns: Columns to deliver, of the query and the field of the bytes (`image`, `audio`, `video`, `text`,
            `array`, of several kinds `content`); None for all. Without the field no byte is read.
        decoders: {field of the bytes: what becomes of each}, as `make_reader` takes it.
        transform: Called with each batch where it is made, several at once; returns the batch to deliver.
        shard: Which of several ranks this is.
        seed: What decoders draw from.
        options: How to stream.

    Raises:
        ConfigError: If the query gives no row, or something that is no entity, or names no such column.
        EntityNotFoundError: If the bytes of an entity are kept nowhere.
        FormatError: If arguments do not fit each other.
        QueryRefusedError, QueryFailedError: As `user_query`; its limits are those of `[sql]`.
        RecipeError: If a column is of a type that the loader does not know.
        TableError: If a file of a table is missing or damaged.
    """
    options, shard = options or StreamOptions(), shard or Shard()
    if type(batch_size) is not int or batch_size < 1:
        raise FormatError(f"batch_size must be a positive integer, found {batch_size!r}")
    if type(seed) is not int or not 0 <= seed < 1 << 63:
        raise FormatError(f"a seed is an integer from 0 to 2**63 - 1, found {seed!r}")
    if options.tail == "ragged" and shard.world > 1:
        raise FormatError("tail='ragged' is for one rank: ranks would take different numbers of steps; use pad")
    question = question_of(lake, query, params, pins)
    # Of the text in which saved views are written out.
    drawn = [each.name for each in called_in(question.text) if not each.function.deterministic]
    if drawn and shard.world > 1:
        raise FormatError(f"{drawn[0]} is not deterministic: each rank would have another order; use one rank")
    lacking = sorted(question.pins.keys() - (pins or {}).keys())
    if shard.world > 1 and shard.exchange is None and lacking and not lake.home.read_only:
        raise FormatError(
            f"rank {shard.rank} of {shard.world}: ranks that cannot compare what they read may find the lake at other "
            f"versions, here of {', '.join(lacking)}; give each the same pins=stream_pins(lake, query), open the lake "
            "at a commit, or give them an exchange (loaders.torch.shard())"
        )
    rows = Rows(lake, question)
    try:
        maker = Maker(
            lake.home, _chosen(rows, columns), dict(decoders or {}), transform, judges_of(lake.config), seed
        )
        _check_decoders(rows, maker)
        return QueryStream(lake, rows, maker, batch_size, shard, options)
    except BaseException:
        rows.close()
        raise


def stream_pins(lake: Lake, query: str, *, params: Params | None = None) -> dict[str, int]:
    """Return the versions that a stream of a query would read now: for `pins`, on each of several ranks.

    Raises:
        ConfigError, QueryRefusedError, TableError: As `stream`.
    """
    return dict(question_of(lake, query, params, None).pins)


class QueryStream(ReaderShell[Batch]):
    """An iterator of batches; one pass is one epoch, iterating again gives the next. Make one with `stream`.

    It has what `loaders.torch.tensors` and `loaders.testing.assert_resumes_exactly` ask of a reader.
    """

    _CLOSED = "this stream is closed; make a new one"
    _INSTEAD_OF_SENDING = (
        "iterate it directly, or wrap it in DataLoader(tensors(stream), batch_size=None, num_workers=0)"
    )

    sample_rows = 1
    """Rows in one sample."""

    classes: tuple[str, ...] = ()
    """None: what a query returns has no class numbers."""

    def __init__(
        self, lake: Lake, rows: Rows, maker: Maker, batch_size: int, shard: Shard, options: StreamOptions
    ) -> None:
        self._lake, self._held, self._maker = lake, _Held(rows), maker
        self._shard, self._options = shard, options
        total = batch_size * shard.world
        self._start = _state_of(rows, maker.seed, total, options.tail)
        if not self.steps_per_epoch:
            raise FormatError(f"{rows.count} rows give no whole batch of {total}; use tail='pad'")
        self._pool: Pool | None = None
        self._going: deque[tuple[int, int, Future[Batch]]] = deque()
        self._epoch = self._step = 0
        self._has_agreed = shard.exchange is None
        super().__init__(self._held.close)

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            StopIteration: At the end of an epoch.
            DeadlineError: If the batch did not come in time; calling again waits for the same batch.
            DecodeError, IngestError, TransformError: What went wrong with this batch; calling again makes it again.
            RankMismatchError: If the ranks are about to read different things.
        """
        with self._lock:
            self._check_usable()
            if self._step == self.steps_per_epoch:
                self._set_position(self._epoch + 1, 0)
                raise StopIteration
            self._agree()
            self._look_ahead()
            epoch, step, future = self._going[0]
            if not wait_done(future, self._options.deadline_s):
                doing = "; ".join(self._pool.activity() if self._pool else []) or "nothing"
                raise DeadlineError(
                    f"batch {step} of epoch {epoch} did not come within {self._options.deadline_s:g} s; the workers of "
                    f"the stream are doing: {doing}"
                )
            self._check_usable()  # another thread may have closed it meanwhile
            if future.exception() is not None:
                self._set_position(self._epoch, self._step)
            batch = future.result()
            self._going.popleft()
            self._step += 1
            self._look_ahead()
            return batch

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.steps_per_epoch

    def close(self) -> None:
        """End the workers, and remove what the query returned."""
        self._is_closed = True
        self._drop()
        self._end()

    def state_dict(self) -> dict[str, object]:
        """Return the position after the last batch that was received: JSON, equal on all ranks."""
        with self._lock:
            return replace(self._start, epoch=self._epoch, step=self._step).to_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where a stream of the same query was, on any rank and any number of ranks that divides the batch.

        The query is asked again at the versions of the state, where these are others.

        Raises:
            StateMismatchError: If the state is of another query, seed, batch or tail, or the rows are others.
            VersionUnavailableError: If a version that it was saved for is gone; `petrel maintain --pin` keeps them for
                long runs.
        """
        saved = parse_state(state)
        with self._lock:
            self._check_usable()
            check_same_run(saved, same_question(saved, self._start))
            if dict(saved.pins) != dict(self._start.pins):
                self._ask_again(saved)
            check_same_run(saved, self._start)
            if saved.step > self.steps_per_epoch:
                raise StateMismatchError(f"state of a stream: step {saved.step} of {self.steps_per_epoch}")
            self._has_agreed = self._shard.exchange is None
            self._set_position(saved.epoch, saved.step)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch; at its beginning: do nothing.

        Raises:
            FormatError: If it is not a number from 0 on.
        """
        if type(epoch) is not int or epoch < 0:
            raise FormatError(f"an epoch is counted from 0, found {epoch!r}")
        with self._lock:
            self._check_usable()
            if (self._epoch, self._step) != (epoch, 0):
                self._set_position(epoch, 0)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns that are delivered."""
        return self._maker.columns

    @property
    def rows(self) -> int:
        """Rows of the query, of all ranks."""
        return self._rows.count

    @property
    def pins(self) -> dict[str, int]:
        """Versions that are read: table -> Delta version."""
        return dict(self._start.pins)

    @property
    def epoch(self) -> int:
        """Epoch of the next batch, counted from 0."""
        return self._epoch

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the same on all ranks."""
        return steps_of(self._rows.count, self._start.global_batch, self._options.tail)

    @property
    def _rows(self) -> Rows:
        return self._held.rows

    def _ask_again(self, saved: State) -> None:
        given = self._rows.question
        rows = Rows(self._lake, replace(given, pins=saved.pins))
        start = _state_of(rows, self._maker.seed, self._start.global_batch, self._options.tail)
        try:
            check_same_run(saved, start)
            if rows.fields != self._rows.fields or rows.content != self._rows.content:
                raise StateMismatchError("state of a stream: at its versions the columns of the query are others")
        except BaseException:
            rows.close()
            raise
        self._drop()
        self._held.close()
        self._held.rows, self._start = rows, start

    def _look_ahead(self) -> None:
        """Have enough batches in the making, not past the end of the epoch."""
        if self._pool is None:
            self._pool = Pool(self._options.workers or usable_cores(MOST_WORKERS), "petrel-stream")
            self._end_with(self._pool)
        step = self._step + len(self._going)
        while len(self._going) < self._options.ahead and step < self.steps_per_epoch:
            what = f"making batch {step} of epoch {self._epoch}"
            self._going.append((self._epoch, step, self._pool.submit(what, self._made, self._epoch, step)))
            step += 1

    def _made(self, epoch: int, step: int) -> Batch:
        tail = self._options.tail
        places, is_pad = places_of(
            step, rows=self._rows.count, global_batch=self._start.global_batch, rank=self._shard.rank,
            world=self._shard.world, tail=tail,
        )  # fmt: skip
        return self._maker.batch(self._rows, places, is_pad if tail == "pad" else None, epoch=epoch, step=step)

    def _set_position(self, epoch: int, step: int) -> None:
        self._epoch, self._step = epoch, step
        for _, _, future in self._going:
            future.cancel()
        self._going.clear()

    def _drop(self) -> None:
        self._set_position(self._epoch, self._step)
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _agree(self) -> None:
        if self._has_agreed or self._shard.exchange is None:
            return
        check_agreement(
            {**self.state_dict(), "columns": [field.name for field in self.fields]}, rank=self._shard.rank,
            world=self._shard.world, exchange=self._shard.exchange, deadline_s=self._options.deadline_s,
        )  # fmt: skip
        self._has_agreed = True


class _Held:
    """The rows that a stream has now; they are removed with it, whether it is closed or forgotten."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def close(self) -> None:
        self.rows.close()


def _state_of(rows: Rows, seed: int, global_batch: int, tail: str) -> State:
    question = rows.question
    return State(question.fingerprint, dict(question.pins), rows.order, seed, global_batch, tail)


def _chosen(rows: Rows, columns: Sequence[str] | None) -> tuple[Field, ...]:
    known = {field.name: field for field in (*rows.fields, rows.content)}
    if columns is None:
        return tuple(known.values())
    if isinstance(columns, str) or not columns:
        raise ConfigError(f"columns must be a list of at least one name, found {columns!r}")
    for name in columns:
        if name not in known:
            raise ConfigError(f"the query has no column {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return tuple(known[name] for name in columns)


def _check_decoders(rows: Rows, maker: Maker) -> None:
    content = rows.content
    for name, decoder in maker.decoders.items():
        wanted = getattr(decoder, "codec", "image")
        if name != content.name or content.codec != wanted:
            raise FormatError(
                f"decoders names {name!r}; the bytes of this query come as {content.name!r}, of codec {content.codec}, "
                f"and {type(decoder).__name__} is for codec {wanted}"
            )
