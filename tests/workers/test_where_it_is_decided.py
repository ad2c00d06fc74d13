"""The map in workers/__init__.py leads to files that exist."""

import re
from pathlib import Path

import workers


def test_each_file_that_the_map_names_is_there() -> None:
    named = re.findall(r"[\w/]+\.py", workers.__doc__ or "")

    assert len(named) > 8
    assert [path for path in named if not list(Path(workers.__file__).parent.rglob(path))] == []
