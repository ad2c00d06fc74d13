"""A private RabbitMQ node: the machine's own `rabbitmq-server`, with our node name, ports, directories and cookie.

It shares nothing with a RabbitMQ service of the machine, nor with another clone: even the port mapper of Erlang (epmd)
is our own, on our own port. Everything listens on loopback.

RABBITMQ_BIN names a folder whose rabbitmq-server, rabbitmqctl and epmd are taken instead: another version, or scripts
that lead into another tree (deploy/docs/shipping.md, *Another RabbitMQ*).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pika
import pika.exceptions

from deploy.local.stack import processes
from deploy.local.stack.memory import Memory
from deploy.local.stack.server import Server, ServerFailedError

# Debian's /usr/sbin/rabbitmq-server changes the user and the directories; the script it wraps does not.
REAL_SCRIPTS = "/usr/lib/rabbitmq/bin"
MORE_PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")

MISSING = (
    "rabbitmq-server is not installed. Install it (Debian, Ubuntu: `sudo apt-get install rabbitmq-server`; "
    "macOS: `brew install rabbitmq`), or set RABBITMQ_URL to a broker that runs elsewhere."
)

# Quorum queues keep a log for all of them: 64 MB a file instead of 512 keep memory and disk small.
SETTINGS = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = fleet
default_pass = {password}
vm_memory_high_watermark.absolute = 1GiB
raft.wal_max_size_bytes = 67108864
log.console = true
log.console.level = warning
log.file = false
"""

# The two cores are shared with the fleet itself: two schedulers, not bound to a core, that do not spin while they wait.
ERLANG_FLAGS = "+S 2:2 +SDcpu 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
# A node is known by name at its port mapper only. That is our own, so clones may share the name, and the data, which is
# bound to the name, outlives a change of ports.
NODE_NAME = "fleet@localhost"
LOOPBACK_ONLY = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQ(Server):
    name = "rabbitmq"
    node = NODE_NAME
    stop_seconds = 30.0

    def __init__(self, directory: Path, memory: Memory) -> None:
        super().__init__(directory, memory)
        self.port_mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://fleet:{self._password}@127.0.0.1:{self.port}/%2F"

    @property
    def _password(self) -> str:
        return self.memory.secret("rabbitmq")

    def stop(self) -> None:
        super().stop()
        self._end_port_mapper()

    def kill(self) -> None:
        super().kill()
        self._end_port_mapper()

    def _prepare(self) -> None:
        files = {"rabbitmq.conf": self._settings(), "enabled_plugins": "[].\n", "rabbitmq-env.conf": ""}
        for name, text in files.items():
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(text)
        cookie = self.directory / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(self.memory.secret("erlang_cookie"))
            cookie.chmod(0o400)

    def _settings(self) -> str:
        return SETTINGS.format(port=self.port, password=self._password)

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        self._start_port_mapper(output)
        script = lean_home(installed_script(), self.directory / "home")
        environment = self._environment(script)
        return processes.spawn([script], self.stack_directory, environment, self.directory, output)

    def _start_port_mapper(self, output: int) -> None:
        self._end_port_mapper()
        epmd = shutil.which("epmd", path=os.pathsep.join([*chosen_folder(), os.environ.get("PATH", "")]))
        if epmd is None:
            raise ServerFailedError("RabbitMQ is installed, but Erlang's `epmd` is not on the PATH: add its directory")
        command = [epmd, "-address", "127.0.0.1", "-port", str(self._port_mapper_port)]
        self.port_mapper = processes.spawn(command, self.stack_directory, output=output)

    def _end_port_mapper(self) -> None:
        if self.port_mapper is not None:
            self.port_mapper.kill()
            self.port_mapper.wait()
            self.port_mapper = None

    @property
    def _port_mapper_port(self) -> int:
        return self.memory.port("rabbitmq_port_mapper")

    def put(self, *letters: tuple[str, bytes]) -> None:
        """Put bodies straight onto queues, past the outbox, as nobody should; they lie there when this returns.

        Confirmed, because the end of a connection may overtake what it has published last, and a quorum queue then
        forgets that without a word.

        Raises:
            pika.exceptions.UnroutableError: a queue does not stand.
        """
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for queue, body in letters:
                channel.basic_publish("", queue, body, mandatory=True)

    def control(self, *words: str) -> str:
        """`rabbitmqctl` for this node; returns what it said.

        Raises:
            subprocess.CalledProcessError: the node said no.
        """
        script = installed_script()
        command = [str(script.with_name("rabbitmqctl")), "-n", self.node, *words]
        environment = {**os.environ, **self._environment(script)}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def _environment(self, script: Path) -> dict[str, str]:
        own = self.directory
        return {
            "HOME": str(own),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._port_mapper_port),
            "RABBITMQ_SCRIPTS_DIR": str(script.parent),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.memory.port(f"{self.name}_distribution")),
            "RABBITMQ_MNESIA_BASE": str(own / "data"),
            "RABBITMQ_LOG_BASE": str(own / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(own / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(own / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(own / "conf.d" / "*.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(own / "advanced.config"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(own / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{ERLANG_FLAGS} {LOOPBACK_ONLY}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes Erlang instead of standing before it as its parent
        }

    def _answers(self) -> bool:
        parameters = pika.URLParameters(self.url)
        parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = 5
        if not listens(self.port):
            return False
        try:
            pika.BlockingConnection(parameters).close()
        except pika.exceptions.AMQPError:  # listening, but not serving yet
            return False
        return True


def listens(port: int) -> bool:
    """Asked first, because pika logs each refused connection as an error with its traceback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def installed_script() -> Path:
    """The rabbitmq-server of RABBITMQ_BIN and no other, or the machine's, past the wrapper."""
    chosen = chosen_folder()
    places = os.pathsep.join(chosen or [REAL_SCRIPTS, os.environ.get("PATH", ""), *MORE_PATHS])
    found = shutil.which("rabbitmq-server", path=places)
    if found is None:
        raise ServerFailedError(f"RABBITMQ_BIN: no rabbitmq-server in {chosen[0]}" if chosen else MISSING)
    return Path(found).resolve()


def chosen_folder() -> list[str]:
    """What RABBITMQ_BIN names, if it names anything."""
    return [folder] if (folder := os.environ.get("RABBITMQ_BIN")) else []


def lean_home(script: Path, home: Path) -> Path:
    """The same server, seen through links to only those libraries the broker itself asks for.

    Erlang looks for each of some thousand modules in every plugin directory before its own: with all 70 of them a boot
    took 5.3 s, of which 2 in the kernel; without them it takes half. An installation laid out in another way is used
    as it is, and so is any when our path has a space in it, on which RabbitMQ's scripts stumble.
    """
    plugins = script.parent.parent / "plugins"
    needed = libraries_of_broker(plugins)
    if script.parent.name != "sbin" or not needed or re.search(r"\s", str(home)):
        return script
    shutil.rmtree(home, ignore_errors=True)
    (home / "plugins").mkdir(parents=True)
    for part in plugins.parent.iterdir():
        if part != plugins:
            (home / part.name).symlink_to(part)
    for library in needed:
        (home / "plugins" / library.name).symlink_to(library)
    return home / "sbin" / script.name


def libraries_of_broker(plugins: Path) -> set[Path]:
    """The directory of the application `rabbit`, and of every application that one names, and so on."""
    folders = {folder.name.rpartition("-")[0]: folder for folder in plugins.glob("*-*") if (folder / "ebin").is_dir()}
    needed: set[Path] = set()
    strs = ["rabbit"] if "rabbit" in folders else []
    while strs:
        name = strs.pop()
        if name in folders and folders[name] not in needed:
            needed.add(folders[name])
            strs += applications_named_by(folders[name] / "ebin" / f"{name}.app")
    return needed


def applications_named_by(description: Path) -> list[str]:
    named = re.search(r"\{applications,\s*\[([^\]]*)\]", description.read_text())
    return re.findall(r"\w+", named.group(1)) if named else []
