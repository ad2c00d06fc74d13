"""Each process has a broker user that may do what its code does and nothing else: tried at a real broker."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from deploy.broker_users import broker_users, definitions
from deploy.local.stack.memory import Memory
from deploy.local.stack.rabbitmq import RabbitMQ, listens
from deploy.local.stack.stack import CLONE
from messages import queues
from outbox.broker import topology
from outbox.broker.dramatiq_broker import FleetBroker
from outbox.broker.publisher import Outgoing, Publisher
from tests.waiting import until

PASSWORDS = {user.name: f"of {user.name}" for user in broker_users()}
NAMES = sorted(PASSWORDS)
DEFINITIONS = "/run/secrets/rabbitmq_definitions"  # where compose and Kubernetes mount them


class Shipped(RabbitMQ):
    """Started as the containers are, by deploy/image/rabbitmq.conf, which loads the definitions; only paths differ."""

    def _settings(self) -> str:
        conf = (CLONE / "deploy" / "image" / "rabbitmq.conf").read_text()
        assert conf.count(DEFINITIONS) == 1
        own = f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.console.level = warning\n"
        return own + conf.replace(DEFINITIONS, str(self.directory / "definitions.json"))

    def _answers(self) -> bool:
        return listens(self.port) and topology.is_reachable(url_for(self, "fleet_scheduler"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A broker of its own that knows nothing but the definitions, and is told them twice, as at a second start."""
    directory = tmp_path_factory.mktemp("broker")
    server = Shipped(directory, Memory(directory))
    file = server.directory / "definitions.json"
    file.parent.mkdir()
    file.write_text(json.dumps(definitions(PASSWORDS)))
    try:
        server.start()
        server.control("import_definitions", str(file))
        server.control("add_user", "fleet", server.memory.secret("rabbitmq"))  # who may everything, for the tests
        server.control("set_permissions", "fleet", ".*", ".*", ".*")
        yield server
    finally:
        server.stop()


def url_for(server: RabbitMQ, user: str) -> str:
    return f"amqp://{user}:{quote(PASSWORDS[user])}@127.0.0.1:{server.port}/%2F"


@pytest.fixture
def url_of(broker: RabbitMQ) -> Callable[[str], str]:
    return partial(url_for, broker)


def test_nobody_is_there_whom_the_definitions_do_not_name(broker: RabbitMQ) -> None:
    names = {row.split("\t")[0] for row in broker.control("-q", "list_users").splitlines()[1:]}

    assert names == {*NAMES, "fleet"}  # no guest


def test_what_the_definitions_declare_is_what_the_code_declares(broker: RabbitMQ) -> None:
    topology.declare(broker.url)  # as a user who may: other arguments would be drift


@pytest.mark.parametrize("user", NAMES)
def test_nobody_may_declare_or_delete_but_everybody_finds_the_topology(url_of: Callable[[str], str], user: str) -> None:
    topology.declare(url_of(user))
    topology.depths(url_of(user))

    for forbidden in (
        lambda channel: channel.queue_declare("of_my_own", durable=True),
        lambda channel: channel.queue_delete("charges"),
        lambda channel: channel.exchange_delete("payments"),
    ):
        assert _is_refused(url_of(user), forbidden)


@pytest.mark.parametrize("user", NAMES)
def test_a_user_reads_its_own_queues_alone(url_of: Callable[[str], str], user: str) -> None:
    mine = next(each for each in broker_users() if each.name == user).reads

    readable = [
        queue.name
        for queue in topology.queues()
        if not _is_refused(url_of(user), lambda channel, name=queue.name: channel.basic_get(name))
    ]

    assert sorted(readable) == sorted(mine)


@pytest.mark.parametrize("user", NAMES)
def test_a_user_writes_to_its_own_exchanges_alone(url_of: Callable[[str], str], user: str) -> None:
    allowed = next(each for each in broker_users() if each.name == user).writes

    def publish(exchange: str) -> Callable[[pika.adapters.blocking_connection.BlockingChannel], None]:
        def act(channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
            channel.confirm_delivery()
            channel.basic_publish(exchange, "nowhere.at.all", b"")

        return act

    writable = [name for name in ("", *topology.EXCHANGES) if not _is_refused(url_of(user), publish(name))]

    assert sorted(writable) == sorted("" if name == "amq.default" else name for name in allowed)


def test_the_relay_publishes_and_a_worker_consumes_with_these_users(url_of: Callable[[str], str]) -> None:
    publisher = Publisher(url_of("fleet_relay"))
    publisher.begin([Outgoing("", "charges", "m1", b"x"), Outgoing("payments", "payment.succeeded", "m2", b"x")])
    assert publisher.finish() == set()
    publisher.close()

    worker = FleetBroker(url_of("fleet_worker"))
    worker.declare_queue("charges")
    consumer = worker.consume("charges", timeout=5_000)
    assert consumer.channel.is_open
    consumer.close()
    worker.close()


def test_a_queue_that_is_missing_is_said_to_whoever_may_not_declare_it(
    broker: RabbitMQ, url_of: Callable[[str], str]
) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    connection.channel().queue_delete("sweeps")

    with pytest.raises(topology.TopologyDriftError, match="'sweeps' does not stand"):
        topology.declare(url_of("fleet_relay"))

    connection.close()
    topology.declare(broker.url)


def test_what_nothing_may_set_aside_outlives_any_number_of_dead_readers(
    broker: RabbitMQ, url_of: Callable[[str], str]
) -> None:
    """RabbitMQ 4 drops a message after 20 deliveries where nothing says otherwise, and these queues have no next."""
    lasting = {queues.DEAD_LETTER_QUEUE: "fleet_dead_letters", queues.ORDER_SERVICE_QUEUE: "order_service"}
    for queue in lasting:
        with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
            connection.channel().queue_purge(queue)
    broker.put(*((queue, b"x") for queue in lasting))

    for queue, reader in lasting.items():
        for _ in range(25):
            with pika.BlockingConnection(pika.URLParameters(url_of(reader))) as connection:
                until(partial(_taken, connection, queue, for_good=False))

    for queue, reader in lasting.items():
        with pika.BlockingConnection(pika.URLParameters(url_of(reader))) as connection:
            until(partial(_taken, connection, queue, for_good=True))


def test_every_queue_of_work_is_read_by_the_workers() -> None:
    worker = next(user for user in broker_users() if user.name == "fleet_worker")

    assert set(worker.reads) == {route.queue for route in queues.ROUTES.values()}


def test_no_password_stands_in_the_definitions(tmp_path: Path) -> None:
    text = json.dumps(definitions(PASSWORDS))

    assert not any(password in text for password in PASSWORDS.values())
    with pytest.raises(KeyError, match="fleet_relay"):
        definitions({name: word for name, word in PASSWORDS.items() if name != "fleet_relay"})


def _taken(connection: pika.BlockingConnection, queue: str, *, for_good: bool) -> bool:
    return connection.channel().basic_get(queue, auto_ack=for_good)[0] is not None


def _is_refused(url: str, act: Callable[[pika.adapters.blocking_connection.BlockingChannel], object]) -> bool:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        act(connection.channel())
    except ChannelClosedByBroker as error:
        assert error.reply_code == topology.ACCESS_REFUSED
        return True
    else:
        return False
    finally:
        connection.close()
