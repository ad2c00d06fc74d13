"""Where a proof says what it sees: people's console, while standard output is kept for JSON when that is asked for."""

import logging
import sys

from loguru import logger
from rich.console import Console

from deploy.report import wide_console


def console_for(*, as_json: bool) -> Console:
    return Console(file=sys.stderr, width=120, soft_wrap=True) if as_json else wide_console()


def silence_logs() -> None:
    """The processes write their own logs; ours would only report every connection that a proof has ended."""
    logger.remove()
    for library in ("psycopg.pool", "pika", "asyncio"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
