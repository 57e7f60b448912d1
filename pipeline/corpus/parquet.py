"""Parquet files that a stage wrote, checked as they are read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PipelineError


def read_checked(path: str | Path, schema: pa.Schema, *, what: str, stage: str) -> pa.Table:
    """Return the table of a file with just these columns.

    Parameters
    ----------
    path : str or Path
        The file.
    schema : pyarrow.Schema
        Names and types of its columns.
    what, stage : str
        What it is a file of, and which stage writes it, for messages.

    Raises
    ------
    PipelineError
        If the file is not there or holds something else.
    """
    if not Path(path).is_file():
        message = f"path: must be a file of {what}, but {path} is not there; run `dvc repro {stage}`"
        raise PipelineError(message)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        message = f"path: must be a file of {what}, but {path} is none ({error}); run `dvc repro {stage}`"
        raise PipelineError(message) from None
    if not table.schema.equals(schema):
        message = (
            f"path: must hold the columns {', '.join(schema.names)}, but {path} holds "
            f"{', '.join(table.schema.names)}; run `dvc repro {stage}`"
        )
        raise PipelineError(message)
    return table
