-- The replay checks left workers/dead_letters for their domains, and the health page the monitoring folder: their groups of
-- dead letters go along (0051). A function is named by the place to which its file has moved.

SELECT move_source_file('outbox/monitoring/health.py', 'outbox/process/health.py');
SELECT move_source_file('workers/dead_letters/judge.py', 'workers/dead_letters/replay_check.py');
SELECT move_source_file('workers/dead_letters/judge_groups.py', 'workers/groups/replay_check.py');
SELECT move_source_file('workers/dead_letters/judge_money.py', 'workers/refunds/replay_check.py');
SELECT move_source_file('workers/dead_letters/judge_shares.py', 'workers/transfers/replay_check.py');
SELECT move_source_file('workers/rules/replay_charges.py', 'workers/rules/replay_check.py');
SELECT move_source_file('workers/rules/replay_after_charge.py', 'workers/rules/replay_refunds.py');

SELECT move_source_file('workers/dead_letters/replay_check.py:' || old, new) FROM (VALUES
    ('judge', 'workers/dead_letters/replay_check.py:check_replay'),
    ('open_letter', 'workers/dead_letters/replay_check.py:open_dead_letter'),
    ('_judge_order', 'workers/dead_letters/replay_check.py:_check_order_event'),
    ('_judge_charge', 'workers/payments/replay_check.py:charge'),
    ('_inbox_state', 'workers/webhooks/replay_check.py:webhook')) AS moved (old, new);
SELECT move_source_file('workers/groups/replay_check.py:judge_work', 'workers/groups/replay_check.py:cancel');
SELECT move_source_file('workers/refunds/replay_check.py:' || old, new) FROM (VALUES
    ('judge_refund', 'workers/refunds/replay_check.py:refund'),
    ('_refund_at_stripe', 'workers/refunds/replay_check.py:refund'),
    ('judge_refund_lookup', 'workers/refunds/replay_check.py:look_up'),
    ('judge_cancel', 'workers/payments/replay_check.py:cancel'),
    ('judge_capture', 'workers/payments/replay_check.py:capture'),
    ('_judge_dispute_answer', 'workers/disputes/replay_check.py:_answer'),
    ('judge_dispute_lookup', 'workers/disputes/replay_check.py:look_up'),
    ('_call_of', 'workers/runtime/call_facts.py:facts_of')) AS moved (old, new);
SELECT move_source_file('workers/transfers/replay_check.py:' || old, new) FROM (VALUES
    ('_judge_share', 'workers/shares/replay_check.py:share'),
    ('_judge_transfer', 'workers/transfers/replay_check.py:transfer'),
    ('_judge_reversal', 'workers/transfers/replay_check.py:reverse'),
    ('_judge_wish', 'workers/operators/replay_check.py:release'),
    ('_ask', 'workers/transfers/replay_check.py:_check')) AS moved (old, new);

SELECT move_source_file('workers/shares/reconcile.py:' || old, new) FROM (VALUES
    ('royalty_reconcile', 'workers/shares/reconcile.py:reconcile_shares'),
    ('_begin_or_resume', 'workers/reconciliation/run_loop.py:run_comparison'),
    ('_judge_transfers', 'workers/shares/reconcile.py:_transfer_cases'),
    ('_judge_cuts', 'workers/shares/reconcile.py:_split_cases'),
    ('_compare_cuts', 'workers/shares/reconcile.py:_compare_splits')) AS moved (old, new);
SELECT move_source_file(
    'workers/reconciliation/reconcile.py:_begin_or_resume', 'workers/reconciliation/run_loop.py:run_comparison');
