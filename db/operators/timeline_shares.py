"""What the timeline of a payment (db/operators/timeline.py) shows of its shares, oldest first."""

from typing import LiteralString

# The shares of the payment, with whose they are; by the unique key that begins with the payment.
_SHARES: LiteralString = """
    shares s JOIN recipients r ON (r.tenant_id, r.recipient_id) = (s.tenant_id, s.recipient_id)
"""
_WHOSE: LiteralString = """
    'share_id', s.share_id, 'recipient_id', s.recipient_id, 'name', r.name, 'party', r.kind, 'currency', s.currency
"""
_OF_PAYMENT: LiteralString = "s.tenant_id = %(tenant_id)s AND s.payment_id = %(payment_id)s"

PARTS_OF_SHARES: dict[str, LiteralString] = {
    "share": f"""
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            {_WHOSE}, 'seq', h.seq, 'from_state', h.from_state, 'reason', h.reason, 'basis', s.basis,
            'basis_points', s.basis_points, 'amount_minor', s.amount_minor, 'waits_for', s.waits_for)
        FROM {_SHARES} JOIN share_history h ON (h.tenant_id, h.share_id) = (s.tenant_id, s.share_id)
        WHERE {_OF_PAYMENT}
    """,
    "return": f"""
        SELECT b.at, CASE WHEN b.undone THEN 'given again later' ELSE 'taken back' END, NULL, jsonb_build_object(
            {_WHOSE}, 'source_id', b.source_id, 'amount_minor', b.returned_minor + b.borne_minor)
        FROM {_SHARES} JOIN share_returns b ON (b.tenant_id, b.share_id) = (s.tenant_id, s.share_id)
        WHERE {_OF_PAYMENT} AND b.returned_minor + b.borne_minor > 0
    """,
    "receivable": f"""
        SELECT o.at, 'owed', NULL, jsonb_build_object({_WHOSE}, 'amount_minor', o.amount_minor, 'reason', o.reason)
        FROM {_SHARES} JOIN share_receivables o ON (o.tenant_id, o.share_id) = (s.tenant_id, s.share_id)
        WHERE {_OF_PAYMENT}
    """,
    # A statement's transfer pays shares of many payments; `part_minor` is what it pays of this one's.
    "transfer": f"""
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            {_WHOSE}, 'from_state', h.from_state, 'reason', h.reason, 'transfer_id', t.transfer_id, 'sort', t.kind,
            'account_id', t.account_id, 'amount_minor', t.amount_minor, 'netted_minor', t.netted_minor,
            'part_minor', l.amount_minor, 'stripe_transfer_id', t.stripe_transfer_id)
        FROM {_SHARES}
        JOIN transfer_lines l ON (l.tenant_id, l.share_id) = (s.tenant_id, s.share_id)
        JOIN transfers t ON (t.tenant_id, t.transfer_id) = (l.tenant_id, l.transfer_id)
        JOIN transfer_history h
            ON (h.tenant_id, h.subject, h.subject_id) = (t.tenant_id, 'transfer', t.transfer_id)
        WHERE {_OF_PAYMENT}
    """,
    "reversal": f"""
        SELECT h.at, h.to_state, h.by, jsonb_build_object(
            {_WHOSE}, 'from_state', h.from_state, 'reason', h.reason, 'reversal_id', v.reversal_id,
            'amount_minor', v.amount_minor, 'stripe_reversal_id', v.stripe_reversal_id)
        FROM {_SHARES}
        JOIN transfer_reversals v ON (v.tenant_id, v.share_id) = (s.tenant_id, s.share_id)
        JOIN transfer_history h
            ON (h.tenant_id, h.subject, h.subject_id) = (v.tenant_id, 'transfer_reversal', v.reversal_id)
        WHERE {_OF_PAYMENT}
    """,
}

# Subjects of the calls that move shares.
CALLS_OF_SHARES: LiteralString = """
    SELECT l.transfer_id FROM shares s JOIN transfer_lines l USING (tenant_id, share_id)
    WHERE s.tenant_id = %(tenant_id)s AND s.payment_id = %(payment_id)s
    UNION ALL
    SELECT v.reversal_id FROM shares s JOIN transfer_reversals v USING (tenant_id, share_id)
    WHERE s.tenant_id = %(tenant_id)s AND s.payment_id = %(payment_id)s
"""
