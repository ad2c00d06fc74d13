"""python -m deploy.local.bench [--quick] [--out bench.json] [--only relay,journey]"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.bench import accepting, growth, journeys, latency, minting, relaying, report, stripe_calls
from deploy.local.bench.ground import Ground, ground
from deploy.local.bench.measures import Results
from deploy.local.stack.stack import CLONE

PARTS: dict[str, Callable[[Ground], None]] = {
    "relay": relaying.measure,
    "growth": growth.measure,
    "intake": accepting.measure,
    "stripe": stripe_calls.measure,
    "journey": journeys.measure,
    "latency": latency.measure,
    "minting": minting.measure,
}


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    parts = options.only.split(",") if options.only else list(PARTS)
    assert set(parts) <= set(PARTS), f"the parts are {', '.join(PARTS)}"
    results, started = Results(), time.monotonic()
    try:
        with ground(options.directory, results, quick=options.quick) as prepared:
            for part in parts:
                print(f"measuring: {part}", file=sys.stderr, flush=True)
                PARTS[part](prepared)
    finally:  # what was measured before something broke is worth reading
        report.write(results.taken, options.out, seconds=time.monotonic() - started)
        report.show(results.taken)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench", description="Measure the fleet.")
    parser.add_argument("--quick", action="store_true", help="two small passes instead of five")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the figures go (bench.json)")
    parser.add_argument("--directory", type=Path, default=CLONE / ".local" / "bench", help="the bench's own servers")
    parser.add_argument("--only", help=f"some parts of: {','.join(PARTS)}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
