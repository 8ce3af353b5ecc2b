"""Kafka records whose header names are no UTF-8, which a broker takes and aiokafka's parser raises on.

That would stop a consumer for good: it asks for the same records again and again. So batches that cannot be read as
they should be are read once more, by aiokafka's parser in Python, and each byte of a name that is no UTF-8 becomes a
lone surrogate (PEP 383), as in file names. Own code, put in where aiokafka looks for its parser: there is no setting.
"""

from collections.abc import Iterator
from typing import Any, final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import _MemoryRecordsPy

MAGIC_AT = 16  # of a batch: where its format's number stands


def encode(name: str) -> bytes:
    """The name as it is on the topic."""
    return name.encode(errors="surrogateescape")


def decode(written: bytes) -> str:
    """The name as a record has it here."""
    return written.decode(errors="surrogateescape")


class _Buffer(bytearray):
    """Bytes whose pieces decode whatever they hold; the parser decodes nothing but names."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Buffer(found) if isinstance(found, bytearray) else found

    def decode(self, *_: Any) -> str:
        return decode(bytes(self))


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # untyped
    def __iter__(self) -> Any:
        self._maybe_uncompress()
        self._buffer: bytearray = _Buffer(self._buffer)
        return self


class _Batch:
    """A batch as aiokafka knows it; only how its records are read is different."""

    def __init__(self, written: memoryview) -> None:
        self._written = bytes(written)
        self._batch = DefaultRecordBatch(self._written)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(_LenientBatch(self._written))

    def __next__(self) -> Any:  # how aiokafka reads the one record of a control batch
        return next(self._batch)


@final
class _Records(_MemoryRecordsPy):  # type: ignore[misc]  # final for type checkers; the loop over batches is what is wanted of it
    def next_batch(self, *_: Any) -> Any:
        written = self._next_slice
        if written is None:
            return None
        self._cache_next()
        magic = written[MAGIC_AT]
        return _Batch(written) if magic >= 2 else LegacyRecordBatch(bytes(written), magic)


fetcher.MemoryRecords = _Records  # for all consumers of a process that decodes records
