"""A small on-sale with everything mixed: groups, declines, 3DS, duplicates, poison. The book, the bank, the order
service and the logs must tell the same story, and the logs nothing more.
"""

import re
from collections import Counter
from typing import Any

import pytest

from deploy.local.demo import sale
from deploy.local.demo.sale import Publication
from messages.base import TRACE_PARENT_EXAMPLE
from tests.journeys.fleet import Fleet, payload_of
from tests.journeys.truth import assert_clean
