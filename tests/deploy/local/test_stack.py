"""The servers of one machine: real ones, started, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pika
import psutil
import psycopg
import pytest
import redis

from deploy.local.stack import processes
from deploy.local.stack.chain import Chain, anvil_binary
from deploy.local.stack.memory import Memory
from deploy.local.stack.ownership import AlreadyRunningError, owner_of
from deploy.local.stack.server import ServerFailedError
from deploy.local.stack.stack import Stack
from tests.waiting import until

START_AND_WAIT = """
import sys, time
from pathlib import Path
from deploy.local.stack.stack import Stack
stack = Stack(Path(sys.argv[1]), outside={"DATABASE_URL": "x", "MIGRATION_DATABASE_URL": "x", "RABBITMQ_URL": "x"})
stack.start()
print("started", flush=True)
time.sleep(600)
"""


def test_all_servers_answer_at_the_addresses_of_the_environment(stack: Stack) -> None:
    environment = stack.environment()
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("fleet",)
    with psycopg.connect(environment["MIGRATION_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE made_by_owner (id int)")
    assert redis.Redis.from_url(environment["REDIS_URL"]).ping()
    pika.BlockingConnection(pika.URLParameters(environment["RABBITMQ_URL"])).close()


def test_every_server_listens_on_loopback_only(stack: Stack) -> None:
    family = [member for left in processes.marked(stack.directory) for member in processes.family_of(left.pid)]
    listening = {c.laddr.ip for member in family for c in member.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::1"}


def test_postgres_killed_and_started_again_keeps_port_and_data(stack: Stack) -> None:
    with psycopg.connect(stack.postgres.migration_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    stack.postgres.kill()
    assert not stack.postgres.alive
    stack.postgres.start()
    with psycopg.connect(stack.environment()["MIGRATION_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_rabbitmq_killed_and_started_again_keeps_quorum_queues_and_their_messages(stack: Stack) -> None:
    url = pika.URLParameters(stack.rabbitmq.url)
    with pika.BlockingConnection(url) as connection:
        connection.channel().queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
    stack.rabbitmq.restart()  # RabbitMQ saves the name of a new quorum queue only about a second after its declaration
    channel = pika.BlockingConnection(url).channel()
    channel.confirm_delivery()
    channel.basic_publish("", "kept", b"seven", pika.BasicProperties(delivery_mode=2))
    stack.rabbitmq.kill()
    stack.rabbitmq.start()
    with pika.BlockingConnection(url) as connection:
        _, _, body = connection.channel().basic_get("kept", auto_ack=True)
    assert body == b"seven"


def test_what_is_put_on_queues_lies_there_although_its_connection_closes_at_once(stack: Stack) -> None:
    """Without confirms a quorum queue forgets what came just before its channel closed, in one round of fifty or so."""
    queues = ["first", "second", "third"]
    with pika.BlockingConnection(pika.URLParameters(stack.rabbitmq.url)) as connection:
        for queue in queues:
            connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})

    for _ in range(200):
        stack.rabbitmq.put(*((queues[number % 3], b"poison") for number in range(7)))

    with pika.BlockingConnection(pika.URLParameters(stack.rabbitmq.url)) as connection:
        channel = connection.channel()
        lying = [channel.queue_declare(queue, passive=True).method.message_count for queue in queues]
    assert lying == [600, 400, 400]


def test_valkey_restarted_keeps_its_data(stack: Stack) -> None:
    client = redis.Redis.from_url(stack.valkey.url)
    client.set("kept", "seven")
    stack.valkey.restart()
    assert client.get("kept") == b"seven"


def test_two_stacks_at_once_do_not_meet(stack: Stack, directory: Path) -> None:
    with Stack(directory, outside={}) as other:
        mine, others = stack.environment(), other.environment()
        alike = {"APP_ENV", "CONSOLE_JWT_AUDIENCE", "API_JWT_AUDIENCE", "STRIPE_EMULATOR_REFUNDS_BEYOND_BALANCE"}
        alike |= {"CHAIN_ID", "CHAIN_CONFIRMATIONS"}
        alike |= {name for name in mine if "HOST" in name or "REQUESTS_PER_SECOND" in name}
        assert not {mine[name] for name in mine.keys() - alike} & set(others.values())
        pika.BlockingConnection(pika.URLParameters(others["RABBITMQ_URL"])).close()
    assert processes.marked(directory) == []
    pika.BlockingConnection(pika.URLParameters(mine["RABBITMQ_URL"])).close()


@pytest.mark.skipif(anvil_binary() is None, reason="no anvil on this machine: `make chain` installs it")
def test_the_chain_keeps_its_genesis_and_its_clock_however_often_it_is_started(tmp_path: Path) -> None:
    chain = Chain(tmp_path, Memory(tmp_path))
    seen = set()
    try:
        for _ in range(4):
            chain.start()
            seen.add(chain.node.call("eth_getBlockByNumber", "0x0", False)["hash"])
            head = int(chain.node.call("eth_blockNumber"), 16)
            until(lambda head=head: int(chain.node.call("eth_blockNumber"), 16) > head + 2)
            latest = chain.node.call("eth_getBlockByNumber", "latest", False)
            assert abs(int(latest["timestamp"], 16) - time.time()) < 10
            chain.stop()
    finally:
        chain.stop()

    assert len(seen) == 1  # of five starts of an unpinned anvil, two had another block 0


@pytest.mark.skipif(anvil_binary() is None, reason="no anvil on this machine: `make chain` installs it")
def test_the_chain_killed_and_started_again_keeps_its_contract_and_its_key(stack: Stack) -> None:
    contract, code = stack.chain.contract, ["eth_getCode", stack.chain.contract, "latest"]
    deployed = stack.chain.node.call(*code)
    until((stack.chain.directory / "state.json").exists)
    head = int(stack.chain.node.call("eth_blockNumber"), 16)
    until(lambda: int(stack.chain.node.call("eth_blockNumber"), 16) > head + 2)  # written to its file every second

    stack.chain.kill()
    stack.chain.start()

    assert len(deployed) > 10_000
    assert (stack.chain.contract, stack.chain.node.call(*code)) == (contract, deployed)
    assert stack.chain.key_file.stat().st_mode & 0o077 == 0


def test_a_directory_has_one_owner_at_a_time(stack: Stack) -> None:
    with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        Stack(stack.directory, outside={}).start()
    assert stack.valkey.alive


def test_secrets_are_readable_by_their_owner_only(stack: Stack) -> None:
    for name in ("secrets.json", "rabbitmq/rabbitmq.conf", "rabbitmq/.erlang.cookie", "valkey/valkey.conf"):
        assert (stack.directory / name).stat().st_mode & 0o077 == 0, name
    commands = " ".join(word for left in processes.marked(stack.directory) for word in left.cmdline())
    assert not any(secret in commands for secret in stack.memory._read("secrets").values())


def test_addresses_from_outside_are_used_as_they_are_and_start_nothing(directory: Path) -> None:
    outside = {
        "DATABASE_URL": "postgresql://elsewhere/fleet",
        "MIGRATION_DATABASE_URL": "postgresql://owner@elsewhere/fleet",
        "REDIS_URL": "rediss://elsewhere/0",
        "RABBITMQ_URL": "amqps://elsewhere/",
        "CHAIN_RPC_URLS": "https://elsewhere/",
        "CHAIN_ID": "1",
        "CHAIN_CONTRACT": "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "CHAIN_SIGNER_KEY_FILE": "/elsewhere/key",
    }
    with Stack(directory, outside) as stack:
        assert stack.servers == []
        assert outside.items() <= stack.environment().items()


def test_a_database_from_outside_needs_both_its_logins(directory: Path) -> None:
    with pytest.raises(ServerFailedError, match="MIGRATION_DATABASE_URL"):
        Stack(directory, outside={"DATABASE_URL": "postgresql://elsewhere/fleet"}).start()


def test_a_stripe_key_from_outside_puts_the_emulator_out_of_the_way(directory: Path) -> None:
    environment = Stack(directory, outside={"STRIPE_SECRET_KEY": "sk_test_of_a_sandbox"}).environment()
    assert environment["STRIPE_SECRET_KEY"] == "sk_test_of_a_sandbox"
    assert "STRIPE_API_BASE" not in environment


def test_ports_are_remembered_unless_somebody_took_them(directory: Path) -> None:
    port = Memory(directory).port("postgres")
    Memory(directory).forget_taken_ports()
    assert Memory(directory).port("postgres") == port
    with socket.create_server(("127.0.0.1", port)):
        Memory(directory).forget_taken_ports()
        assert Memory(directory).port("postgres") != port


def test_an_owner_that_is_killed_leaves_nothing_running(directory: Path) -> None:
    command = [sys.executable, "-c", START_AND_WAIT, str(directory)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "started\n"
    assert processes.marked(directory) != []
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + 10
    while processes.marked(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.marked(directory) == []
    assert owner_of(directory) is None
