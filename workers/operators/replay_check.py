"""Replay checks of operators' requests: each is a row that is carried out once, under its lock. Reads only."""

from db.operators import requests
from db.session import Database
from messages.refunds import OpsRefundDue
from messages.shares import OpsEscrowDue
from workers.rules.replay_check import ReplayCheck, check_once


def refund(msg: OpsRefundDue, db: Database) -> ReplayCheck:
    with db.system_transaction() as tx:
        request = requests.get(tx, msg.request_id)
    return check_once(known=request is not None, is_open=request is not None and request.state == "asked")


def release(msg: OpsEscrowDue, db: Database) -> ReplayCheck:
    with db.transaction(msg.tenant_id) as tx:
        request = requests.get(tx, msg.wish_id)
    return check_once(known=request is not None, is_open=request is not None and request.state == "asked")
