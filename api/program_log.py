"""How the own log of a controller or agent looks: text for people, or a JSON object a line.

What a line is about stands in the same fields everywhere: `job_id` (uid), `job` (name), `attempt`,
`worker`. Values of a job's environment, code, results and tokens never reach a log call. I/O: stderr.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record


def configure_logging(style: str, level: str) -> None:
    """style: `text` or `json`; level: DEBUG, INFO, WARNING or ERROR. Lines go to stderr."""
    logger.remove()
    if style == "json":
        logger.add(_write_json, level=level, format="{message}", diagnose=False)
    else:
        # diagnose=False: values of variables in tracebacks could be secrets.
        logger.add(sys.stderr, level=level, format=_text, diagnose=False)


def _text(record: Record) -> str:
    fields = " ".join(f"{key}={{extra[{key}]}}" for key, value in record["extra"].items() if value)
    line = "{time:YYYY-MM-DDTHH:mm:ss.SSSZZ} {level: <7} {message}"
    return f"{line}  {fields}\n{{exception}}" if fields else f"{line}\n{{exception}}"


def _write_json(message: Message) -> None:
    record = message.record
    line: dict[str, Any] = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "logger": record["name"],
        **{key: value for key, value in record["extra"].items() if value},
    }
    if record["exception"] is not None:
        # Lines of code but no values of variables: those could be secrets.
        line["exception"] = "".join(traceback.format_exception(record["exception"].value))
    sys.stderr.write(json.dumps(line, default=str) + "\n")
