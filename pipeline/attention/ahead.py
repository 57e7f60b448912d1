"""Batches read one over the other: the next is padded and copied while the last one computes and the one before is unpacked.

For a card. Copies go through pinned memory on streams of their own; what a shard keeps in half precision is cast on
the card, and all of a batch leaves it in one piece. Threads hide what the processor does behind what the card does; on
a processor alone there is nothing to hide behind, and batches are read one after the other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor

from pipeline.attention.reader import Example, Found, Staged, Tensors, unpack
from pipeline.attention.store import PairBlocks

T = TypeVar("T")
Batch = tuple[Sequence[Example], bool]
"""Examples, and whether every head's own blocks are wanted."""


def ahead(calls: Iterable[Callable[[], T]], pool: Executor | None) -> Iterator[T]:
    """Yield what the calls return, in their order, the next one begun before; one after the other without a pool."""
    begun = None
    for call in calls:
        if pool is None:
            yield call()
            continue
        last, begun = begun, pool.submit(call)
        if last is not None:
            yield last.result()
    if begun is not None:
        yield begun.result()


def read_ahead(reader: Staged, batches: Iterable[Batch], pool: Executor) -> Iterator[list[PairBlocks]]:
    """Yield the blocks of each batch, as they are stored: the same bytes in a shard as those of `Reader.read`.

    Parameters
    ----------
    reader : Staged
        Of one translator; its model runs in the thread that asks for the blocks, all else in the pool's.
    batches : iterable of (examples, heads)
        In the order in which they are read.
    pool : Executor
        Two threads or more.

    Raises
    ------
    PipelineError
        If a number is not finite.
    """
    lanes = _Lanes.of(reader.translator.device)
    # Half precision from double would be rounded twice on a card.
    stored = reader.translator.model.dtype != torch.float64
    moved = ahead((partial(_prepare, reader, batch, lanes) for batch in batches), pool)
    found = (_compute(reader, batch, inputs, lanes, stored=stored) for batch, inputs in moved)
    yield from ahead((partial(_finish, reader, batch, packed, stored=stored) for batch, packed in found), pool)


@dataclass(frozen=True)
class _Lanes:
    """Where copies to and from the device are queued; on a processor nowhere."""

    device: torch.device
    way_in: Any = None
    way_out: Any = None

    @classmethod
    def of(cls, device: torch.device) -> "_Lanes":
        """Return the lanes of a device."""
        if device.type != "cuda":
            return cls(device)
        return cls(device, torch.cuda.Stream(device), torch.cuda.Stream(device))

    def move_in(self, inputs: Tensors) -> "_Moved":
        """Return the inputs on the device; the copy is not waited for."""
        if self.way_in is None:
            return _Moved(inputs)
        with torch.cuda.stream(self.way_in):
            moved = {name: tensor.pin_memory().to(self.device, non_blocking=True) for name, tensor in inputs.items()}
            return _Moved(moved, self.way_in.record_event())

    def move_out(self, flat: Tensor) -> tuple[Tensor, Any]:
        """Return the tensor in memory of the processor, and the event after which it is there."""
        if self.way_out is None:
            return flat, None
        host = torch.empty(flat.shape, dtype=flat.dtype, pin_memory=True)
        self.way_out.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.way_out):
            host.copy_(flat, non_blocking=True)
            flat.record_stream(self.way_out)  # its memory is not given away before it is read
            return host, self.way_out.record_event()


@dataclass(frozen=True)
class _Moved:
    """Inputs on the device, and the event after which they are there."""

    tensors: Tensors
    there: Any = None

    def ready(self, device: torch.device) -> Tensors:
        """Return the inputs for use by what is queued from now on."""
        if self.there is not None:
            stream = torch.cuda.current_stream(device)
            stream.wait_event(self.there)
            for tensor in self.tensors.values():
                tensor.record_stream(stream)
        return self.tensors


@dataclass(frozen=True)
class _Packed:
    """Tensors laid end to end in one, as bytes."""

    flat: Tensor
    shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]]
    there: Any = None

    @classmethod
    def of(cls, tensors: Tensors, lanes: _Lanes) -> "_Packed":
        """Return the tensors, on their way to memory of the processor."""
        # Widest first: every tensor then begins where its type may.
        order = sorted(tensors, key=lambda name: -tensors[name].element_size())
        flat = torch.cat([tensors[name].contiguous().view(-1).view(torch.uint8) for name in order])
        shapes = {name: (tensors[name].dtype, tuple(tensors[name].shape)) for name in order}
        host, there = lanes.move_out(flat)
        return cls(host, shapes, there)

    def tensors(self) -> Tensors:
        """Return the tensors, once they are there."""
        if self.there is not None:
            self.there.synchronize()
        found, start = {}, 0
        for name, (dtype, shape) in self.shapes.items():
            stop = start + prod(shape) * dtype.itemsize
            found[name] = self.flat[start:stop].view(dtype).view(shape)
            start = stop
        return found


def _prepare(reader: Staged, batch: Batch, lanes: _Lanes) -> tuple[Batch, _Moved]:
    return batch, lanes.move_in(reader.inputs(batch[0]))


def _compute(reader: Staged, batch: Batch, moved: _Moved, lanes: _Lanes, *, stored: bool) -> tuple[Batch, _Packed]:
    with torch.inference_mode():
        found: Found = reader.find(moved.ready(lanes.device), heads=batch[1])
        return batch, _Packed.of(found.tensors(stored=stored), lanes)


def _finish(reader: Staged, batch: Batch, packed: _Packed, *, stored: bool) -> list[PairBlocks]:
    with torch.inference_mode():
        return unpack(batch[0], packed.tensors(), reader, stored=stored)
