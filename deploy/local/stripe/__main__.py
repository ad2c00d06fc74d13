"""The command `stripe-emulator`, also `python -m deploy.local.stripe`: serve until SIGTERM."""

import asyncio
import sys

from .server import serve
from .settings import read


def main() -> None:
    """The command: reads its flags, serves, returns after SIGTERM."""
    settings = read(sys.argv[1:])
    try:
        import uvloop  # noqa: PLC0415 - only where it exists; the standard loop serves as well, a little slower
    except ImportError:
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
