"""`fleet verify`: read the settings, compare everything, print the report, and set the exit code.

0 clean, 1 something is lost, duplicated, unexpected or unexplained, 69 a service is unreachable, 78 invalid settings.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import psycopg
from pika.exceptions import AMQPError

from db.session import Database
from db.settings import DatabaseSettings
from deploy.report import print_report, wide_console
from messages.runtime.settings import SettingsError, load, stop_the_start
from messages.verdicts import Verdict
from outbox.broker.settings import BrokerSettings
from outbox.broker.topology import EX_UNAVAILABLE
from stripe_client.gateway import Gateway
from stripe_client.settings import StripeSettings
from workers.minting.chain.node import NodeRefusedError
from workers.minting.settings import ContractSettings
from workers.verify.report import Report
from workers.verify.verify import OrderServiceLog, verify

LOOK_AGAIN_SECONDS = 2.0


def check(order_log: Path | None, *, as_json: bool, report_file: Path | None, wait_seconds: float = 0.0) -> int:
    """`wait_seconds`: repeat for at most this long while work is in progress or the report is not clean."""
    try:
        settings = load(DatabaseSettings, BrokerSettings, StripeSettings, ContractSettings)
    except SettingsError as error:
        stop_the_start(error)
    try:
        report = until_at_rest(lambda: _verify(*settings, OrderServiceLog.read(order_log)), wait_seconds)
    except (Verdict, NodeRefusedError, psycopg.Error, AMQPError) as error:
        sys.stderr.write(f"verify could not read all systems: {error}\n")
        return EX_UNAVAILABLE
    if report_file is not None:
        report_file.write_bytes(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2))
    if as_json:
        print(orjson.dumps(report.totals).decode())
    else:
        print_report(wide_console(), report)
    return 0 if report.clean else 1


def until_at_rest(look: Callable[[], Report], seconds: float) -> Report:
    """The first report that is clean with no work in progress, or the last one when the time is up."""
    until = time.monotonic() + seconds
    while not ((report := look()).clean and report.quiet) and time.monotonic() < until:
        time.sleep(LOOK_AGAIN_SECONDS)
    return report


def _verify(
    database: DatabaseSettings,
    broker: BrokerSettings,
    stripe: StripeSettings,
    chain: ContractSettings,
    order_log: OrderServiceLog,
) -> Report:
    db = Database(database, application="fleet-verify")
    try:
        db.wait_until_reachable(seconds=5)
        return verify(db, Gateway(stripe), broker.rabbitmq_url.get_secret_value(), order_log, chain)
    finally:
        db.close()
