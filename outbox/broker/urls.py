"""RABBITMQ_URL may name every node of a cluster, separated by commas: whoever connects tries one after the other.

In an order of its own, so that processes spread over the nodes. One address that stands for all nodes does as well.
"""

import random
import re

import pika

_BETWEEN = re.compile(r",(?=amqps?://)")  # a comma may stand in an address, too


def split(url: str) -> list[str]:
    """The addresses, as they were written down."""
    return _BETWEEN.split(url)


def shuffled(url: str) -> list[str]:
    addresses = split(url)
    return random.sample(addresses, len(addresses))


def nodes(url: str) -> list[pika.URLParameters]:
    """What pika's BlockingConnection takes."""
    return [pika.URLParameters(address) for address in shuffled(url)]
