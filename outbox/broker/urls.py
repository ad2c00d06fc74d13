"""RABBITMQ_URL may name every node of a cluster, separated by commas: a client tries one after the other.

Each process shuffles them, so that connections spread over the nodes. One address of a load balancer works as well.
"""

import random
import re

import pika

_BETWEEN = re.compile(r",(?=amqps?://)")  # a comma may stand in an address, too


def split(url: str) -> list[str]:
    """The addresses, in the order in which they were written."""
    return _BETWEEN.split(url)


def shuffled(url: str) -> list[str]:
    """The addresses in a random order, a new one at each call."""
    addresses = split(url)
    return random.sample(addresses, len(addresses))


def nodes(url: str) -> list[pika.URLParameters]:
    """All nodes in a random order, as parameters of pika's BlockingConnection, which tries them in that order."""
    return [pika.URLParameters(address) for address in shuffled(url)]
