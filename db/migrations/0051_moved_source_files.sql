-- Dead letters form a group when they died of the same thing at the same place, and the place is a path of ours. Files
-- moved into folders of their domains: without this table the same failure would be another group from then on, and a
-- replay of the group that a person has noted would leave the new letters out.
--
-- A letter is written with the path of today, whichever release writes it: a trigger translates, so that group_key, which
-- is made of top_frame, needs no change. The keys of before are kept beside it and still find the whole group.

CREATE TABLE moved_source_files (
    moved_from text PRIMARY KEY,                                   -- a path, or path:function
    moved_to   text NOT NULL CHECK (moved_to <> moved_from AND (moved_to LIKE '%.py:%') = (moved_from LIKE '%.py:%'))
);
GRANT SELECT ON moved_source_files TO fleet_tenant, fleet_system, fleet_ops;

ALTER TABLE dead_letters ADD COLUMN former_group_keys text[] NOT NULL DEFAULT '{}';
CREATE INDEX dead_letters_former_groups ON dead_letters USING gin (former_group_keys);

-- Where this frame is today: its file may have moved, and its function by itself, before that or after it. The same frame
-- when nothing has moved.
CREATE FUNCTION frame_today(frame text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(of_function.moved_to, file_today)
    FROM (SELECT coalesce((SELECT moved_to FROM moved_source_files WHERE moved_from = split_part(frame, ':', 1))
                          || substr(frame, length(split_part(frame, ':', 1)) + 1), frame) AS file_today) AS moved
    LEFT JOIN moved_source_files of_function ON of_function.moved_from IN (frame, file_today)
    ORDER BY of_function.moved_from = frame DESC NULLS LAST LIMIT 1);

CREATE FUNCTION write_the_frame_of_today() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    today  text := frame_today(NEW.top_frame);
    former text := left(
        md5(NEW.cause || '/' || NEW.error_class || '/' || coalesce(NEW.kind, '') || '/' || NEW.top_frame), 12);
BEGIN
    IF today <> NEW.top_frame THEN
        NEW.former_group_keys := array_append(array_remove(NEW.former_group_keys, former), former);
        NEW.top_frame := today;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_dead_letter_names_the_file_of_today BEFORE INSERT OR UPDATE OF top_frame ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION write_the_frame_of_today();

-- For the next file that moves: SELECT move_source_file(old, new) in its migration, with paths, or with path:function for
-- a function that moved or was renamed. What had moved there before goes along, and so do the letters that name it.
CREATE FUNCTION move_source_file(old text, new text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    UPDATE moved_source_files SET moved_to = new || substr(moved_to, length(old) + 1)
        WHERE moved_to = old OR starts_with(moved_to, old || ':');
    INSERT INTO moved_source_files (moved_from, moved_to) VALUES (old, new);
    UPDATE dead_letters SET top_frame = top_frame WHERE top_frame = old OR starts_with(top_frame, old || ':');
END;
REVOKE EXECUTE ON FUNCTION move_source_file(text, text) FROM PUBLIC;

INSERT INTO moved_source_files (moved_from, moved_to) VALUES
    ('db/accounts.py', 'db/transfers/connected_accounts.py'),
    ('db/api_requests.py', 'db/idempotency_keys.py'),
    ('db/audit.py', 'db/reconciliation/verify.py'),
    ('db/audit_fees.py', 'db/transfers/verify.py'),
    ('db/audit_groups.py', 'db/groups/verify.py'),
    ('db/audit_mints.py', 'db/minting/verify.py'),
    ('db/audit_parties.py', 'db/shares/verify_balances.py'),
    ('db/audit_refunds.py', 'db/refunds/verify.py'),
    ('db/audit_shares.py', 'db/shares/verify.py'),
    ('db/backlog.py', 'db/queue/backlog.py'),
    ('db/bank_lines.py', 'db/reconciliation/balance_transactions.py'),
    ('db/calls.py', 'db/stripe_calls.py'),
    ('db/cancellation_steps.py', 'db/refunds/mass_refund_steps.py'),
    ('db/cancellation_steps.py:standing_still', 'db/refunds/stuck.py:mass_refunds'),
    ('db/case_lists.py', 'db/reconciliation/case_views.py'),
    ('db/cases.py', 'db/reconciliation/cases.py'),
    ('db/charges.py', 'db/payments/charges.py'),
    ('db/connected_payouts.py', 'db/payouts/account_payouts.py'),
    ('db/dead_letters.py', 'db/dead_letters/dead_letters.py'),
    ('db/destinations.py', 'db/transfers/destination_charges.py'),
    ('db/dispute_books.py', 'db/disputes/booking.py'),
    ('db/dispute_facts.py', 'db/disputes/evidence_facts.py'),
    ('db/dispute_lists.py', 'db/disputes/views.py'),
    ('db/disputes.py', 'db/disputes/disputes.py'),
    ('db/doorbell.py', 'db/notify.py'),
    ('db/early_warnings.py', 'db/disputes/fraud_warnings.py'),
    ('db/escrow.py', 'db/shares/escrow.py'),
    ('db/escrow_wishes.py', 'db/operators/release_requests.py'),
    ('db/event_cancellations.py', 'db/refunds/mass_refunds.py'),
    ('db/event_sweep.py', 'db/webhooks/event_coverage.py'),
    ('db/failures.py', 'db/queue/failed_runs.py'),
    ('db/gauges.py', 'db/monitoring/gauges.py'),
    ('db/group_overview.py', 'db/groups/views.py'),
    ('db/group_shares.py', 'db/groups/contributions.py'),
    ('db/group_standstill.py', 'db/groups/stuck.py'),
    ('db/group_standstill.py:take_groups', 'db/sweep/wake_ups.py:take'),
    ('db/groups.py', 'db/groups/groups.py'),
    ('db/inbox.py', 'db/webhooks/inbox.py'),
    ('db/ledger.py', 'db/ledger/journals.py'),
    ('db/ledger_chain.py', 'db/ledger/hash_chain.py'),
    ('db/ledger_reports.py', 'db/ledger/reports.py'),
    ('db/letters.py', 'db/dead_letters/views.py'),
    ('db/mint_lists.py', 'db/minting/views.py'),
    ('db/mint_moves.py', 'db/minting/submissions.py'),
    ('db/mint_settings.py', 'db/minting/venue_settings.py'),
    ('db/mints.py', 'db/minting/mints.py'),
    ('db/operator_log.py', 'db/operators/log.py'),
    ('db/ops_refunds.py', 'db/operators/refund_requests.py'),
    ('db/orders.py', 'db/payments/orders.py'),
    ('db/outbox.py', 'db/queue/outbox.py'),
    ('db/overview.py', 'db/monitoring/overview.py'),
    ('db/pauses.py', 'db/tenants/pauses.py'),
    ('db/payment_search.py', 'db/payments/views.py'),
    ('db/payments.py', 'db/payments/payments.py'),
    ('db/payout_overview.py', 'db/payouts/views.py'),
    ('db/payouts.py', 'db/payouts/payouts.py'),
    ('db/pulse.py', 'db/monitoring/throughput.py'),
    ('db/purchase_limits.py', 'db/payments/purchase_limits.py'),
    ('db/recipients.py', 'db/transfers/recipients.py'),
    ('db/reconciliation_runs.py', 'db/reconciliation/runs.py'),
    ('db/refund_books.py', 'db/refunds/booking.py'),
    ('db/refund_needs.py', 'db/refunds/balance_needed.py'),
    ('db/refund_overview.py', 'db/refunds/views.py'),
    ('db/refunds.py', 'db/refunds/refunds.py'),
    ('db/replays.py', 'db/dead_letters/replay_batches.py'),
    ('db/scale.py', 'db/monitoring/queue_lag.py'),
    ('db/schedule.py', 'db/queue/schedule.py'),
    ('db/schema.py', 'db/schema_version.py'),
    ('db/selling_rules.py', 'db/shares/sale_terms.py'),
    ('db/selling_settings.py', 'db/tenants/sale_settings.py'),
    ('db/series.py', 'db/minting/series.py'),
    ('db/service_level.py', 'db/monitoring/slo.py'),
    ('db/share_books.py', 'db/shares/booking.py'),
    ('db/share_overview.py', 'db/shares/views.py'),
    ('db/share_reconciliation.py', 'db/shares/reconcile.py'),
    ('db/share_returns.py', 'db/shares/clawbacks.py'),
    ('db/share_standstill.py', 'db/shares/stuck.py'),
    ('db/share_standstill.py:take', 'db/sweep/wake_ups.py:take'),
    ('db/share_watch.py', 'db/shares/overdue.py'),
    ('db/shares.py', 'db/shares/shares.py'),
    ('db/signers.py', 'db/minting/signers.py'),
    ('db/slots.py', 'db/minting/nonces.py'),
    ('db/standing.py', 'db/payments/views.py'),
    ('db/standstill.py', 'db/sweep/wake_ups.py'),
    ('db/standstill.py:take_disputes', 'db/sweep/wake_ups.py:take'),
    ('db/standstill.py:take_events', 'db/sweep/wake_ups.py:take'),
    ('db/standstill.py:take_payments', 'db/sweep/wake_ups.py:take'),
    ('db/statement_lines.py', 'db/payouts/statement_lines.py'),
    ('db/statements.py', 'db/payouts/statements.py'),
    ('db/steering.py', 'db/refunds/mass_refunds.py'),
    ('db/tenants.py', 'db/tenants/tenants.py'),
    ('db/timeline.py', 'db/operators/timeline.py'),
    ('db/timeline_shares.py', 'db/operators/timeline_shares.py'),
    ('db/told_events.py', 'db/queue/published_events.py'),
    ('db/transfer_reversals.py', 'db/transfers/reversals.py'),
    ('db/transfers.py', 'db/transfers/transfers.py'),
    ('db/watch.py', 'db/refunds/overdue.py'),
    ('db/watch.py:authorizations_expiring', 'db/payments/overdue.py:authorizations_expiring'),
    ('db/watch.py:evidence_due', 'db/disputes/overdue.py:evidence_due'),
    ('messages/asking.py', 'messages/runtime/priority.py'),
    ('messages/bank.py', 'messages/statement_lines.py'),
    ('messages/cache.py', 'messages/runtime/cache.py'),
    ('messages/crash_points.py', 'messages/runtime/crash_points.py'),
    ('messages/group_lines.py', 'messages/group_allocation.py'),
    ('messages/phases.py', 'messages/runtime/no_calls_in_transaction.py'),
    ('messages/redaction.py', 'messages/runtime/redaction.py'),
    ('messages/secret_files.py', 'messages/runtime/secret_files.py'),
    ('messages/settings.py', 'messages/runtime/settings.py'),
    ('messages/tokens.py', 'messages/token_ids.py'),
    ('messages/trace.py', 'messages/runtime/trace.py'),
    ('outbox/addresses.py', 'outbox/broker/urls.py'),
    ('outbox/broker.py', 'outbox/broker/dramatiq_broker.py'),
    ('outbox/cancelling_events.py', 'outbox/requests/mass_refunds.py'),
    ('outbox/collecting.py', 'outbox/monitoring/collector.py'),
    ('outbox/consuming.py', 'outbox/consumer.py'),
    ('outbox/evidence.py', 'outbox/requests/dispute_evidence.py'),
    ('outbox/gauges.py', 'outbox/monitoring/gauges.py'),
    ('outbox/grouping.py', 'outbox/requests/group_moves.py'),
    ('outbox/health.py', 'outbox/monitoring/health.py'),
    ('outbox/heartbeat.py', 'outbox/process/heartbeat.py'),
    ('outbox/intake/groups.py', 'outbox/requests/groups.py'),
    ('outbox/intake/inbox.py', 'outbox/intake/stripe_events.py'),
    ('outbox/intake/offers.py', 'outbox/requests/orders.py'),
    ('outbox/intake/reading.py', 'outbox/intake/order_events.py'),
    ('outbox/intake/wishes.py', 'outbox/intake/order_requests.py'),
    ('outbox/listening.py', 'outbox/process/http_server.py'),
    ('outbox/load.py', 'outbox/process/load.py'),
    ('outbox/logs.py', 'outbox/process/logs.py'),
    ('outbox/metrics.py', 'outbox/process/metrics.py'),
    ('outbox/problems.py', 'outbox/web/problem_details.py'),
    ('outbox/publisher.py', 'outbox/broker/publisher.py'),
    ('outbox/refunding.py', 'outbox/requests/refunds.py'),
    ('outbox/scaling.py', 'outbox/monitoring/scale_signals.py'),
    ('outbox/service_level.py', 'outbox/monitoring/slo.py'),
    ('outbox/settings.py', 'outbox/broker/settings.py'),
    ('outbox/shown.py', 'outbox/process/metric_names.py'),
    ('outbox/stopping.py', 'outbox/process/shutdown.py'),
    ('outbox/tokens.py', 'outbox/web/bearer_tokens.py'),
    ('outbox/topology.py', 'outbox/broker/topology.py'),
    ('outbox/tracing.py', 'outbox/process/tracing.py'),
    ('outbox/watchtower.py', 'outbox/monitoring/start.py'),
    ('outbox/wire.py', 'outbox/broker/strict_encoder.py'),
    ('stripe_client/budget.py', 'stripe_client/rate_limit/shared_budget.py'),
    ('stripe_client/connected.py', 'stripe_client/connected_account.py'),
    ('stripe_client/destinations.py', 'stripe_client/destination_charges.py'),
    ('stripe_client/early_warnings.py', 'stripe_client/early_fraud_warnings.py'),
    ('stripe_client/exchange.py', 'stripe_client/requests.py'),
    ('stripe_client/governor.py', 'stripe_client/rate_limit/limiter.py'),
    ('stripe_client/own_share.py', 'stripe_client/rate_limit/local_budget.py'),
    ('stripe_client/snapshots.py', 'stripe_client/event_snapshots.py'),
    ('stripe_client/sources.py', 'stripe_client/balance_transaction_sources.py'),
    ('stripe_client/webhooks.py', 'stripe_client/webhook_signatures.py'),
    ('workers/account_event.py', 'workers/transfers/events.py'),
    ('workers/account_lookup.py', 'workers/transfers/look_up_account.py'),
    ('workers/actor.py', 'workers/runtime/actor.py'),
    ('workers/afterwards.py', 'workers/runtime/retries.py'),
    ('workers/balance_journals.py', 'workers/ledger/conversion_and_fee.py'),
    ('workers/cancel.py', 'workers/payments/cancel.py'),
    ('workers/cancel_event.py', 'workers/refunds/mass_refund.py'),
    ('workers/capture.py', 'workers/payments/capture.py'),
    ('workers/charge.py', 'workers/payments/charge.py'),
    ('workers/classify.py', 'workers/dead_letters/classify.py'),
    ('workers/connected_payouts.py', 'workers/payouts/account_payouts.py'),
    ('workers/destination.py', 'workers/transfers/destination_charges.py'),
    ('workers/dispute_answer.py', 'workers/disputes/answer.py'),
    ('workers/dispute_close.py', 'workers/disputes/answer.py'),
    ('workers/dispute_event.py', 'workers/disputes/events.py'),
    ('workers/dispute_evidence.py', 'workers/disputes/answer.py'),
    ('workers/dispute_lookup.py', 'workers/disputes/look_up.py'),
    ('workers/dispute_settlement.py', 'workers/disputes/settlement.py'),
    ('workers/distribution.py', 'workers/shares/distribution.py'),
    ('workers/early_warning.py', 'workers/disputes/fraud_warnings.py'),
    ('workers/escrow.py', 'workers/shares/escrow.py'),
    ('workers/event_sweep.py', 'workers/webhooks/event_sweep.py'),
    ('workers/gateways/chain.py', 'workers/minting/chain/chain.py'),
    ('workers/gateways/contract.py', 'workers/minting/chain/contract.py'),
    ('workers/gateways/looking.py', 'workers/minting/chain/reading.py'),
    ('workers/gateways/node.py', 'workers/minting/chain/node.py'),
    ('workers/gateways/signer.py', 'workers/minting/chain/signer.py'),
    ('workers/gateways/transactions.py', 'workers/minting/chain/transactions.py'),
    ('workers/group.py', 'workers/groups/group.py'),
    ('workers/health.py', 'workers/runtime/health.py'),
    ('workers/judging.py', 'workers/dead_letters/judge.py'),
    ('workers/judging_groups.py', 'workers/dead_letters/judge_groups.py'),
    ('workers/judging_money.py', 'workers/dead_letters/judge_money.py'),
    ('workers/judging_shares.py', 'workers/dead_letters/judge_shares.py'),
    ('workers/keeping_cases.py', 'workers/reconciliation/cases.py'),
    ('workers/letting_go.py', 'workers/shares/release.py'),
    ('workers/load.py', 'workers/runtime/load.py'),
    ('workers/lookup.py', 'workers/payments/look_up.py'),
    ('workers/mint.py', 'workers/minting/mint.py'),
    ('workers/minter.py', 'workers/minting/__main__.py'),
    ('workers/minting/means.py', 'workers/minting/context.py'),
    ('workers/minting/telling.py', 'workers/minting/events.py'),
    ('workers/minting/watch.py', 'workers/minting/track.py'),
    ('workers/ops_escrow.py', 'workers/operators/release.py'),
    ('workers/ops_refund.py', 'workers/operators/refund.py'),
    ('workers/pausing.py', 'workers/runtime/pauses.py'),
    ('workers/payout_event.py', 'workers/payouts/events.py'),
    ('workers/payouts.py', 'workers/payouts/payouts.py'),
    ('workers/reconcile.py', 'workers/reconciliation/reconcile.py'),
    ('workers/refund.py', 'workers/refunds/refund.py'),
    ('workers/refund_event.py', 'workers/refunds/events.py'),
    ('workers/refund_lookup.py', 'workers/refunds/look_up.py'),
    ('workers/refund_settlement.py', 'workers/refunds/settlement.py'),
    ('workers/replay.py', 'workers/dead_letters/replay.py'),
    ('workers/retention.py', 'workers/reconciliation/retention.py'),
    ('workers/royalty_reconcile.py', 'workers/shares/reconcile.py'),
    ('workers/rules/balance.py', 'workers/rules/refund_balance.py'),
    ('workers/rules/destination.py', 'workers/rules/destination_charges.py'),
    ('workers/rules/paying.py', 'workers/rules/payability.py'),
    ('workers/rules/reconciling.py', 'workers/rules/bank_differences.py'),
    ('workers/rules/refunds.py', 'workers/rules/refund_allocation.py'),
    ('workers/rules/replay.py', 'workers/rules/replay_charges.py'),
    ('workers/rules/replay_money.py', 'workers/rules/replay_after_charge.py'),
    ('workers/rules/royalties.py', 'workers/rules/sale_split.py'),
    ('workers/rules/share_reconciling.py', 'workers/rules/share_differences.py'),
    ('workers/seal_ledger.py', 'workers/ledger/seal.py'),
    ('workers/settings.py', 'workers/runtime/settings.py'),
    ('workers/settlement.py', 'workers/payments/settlement.py'),
    ('workers/share.py', 'workers/shares/share.py'),
    ('workers/sharing.py', 'workers/refunds/allocation.py'),
    ('workers/statements.py', 'workers/payouts/statements.py'),
    ('workers/transfer.py', 'workers/transfers/transfer.py'),
    ('workers/transfer_reversal.py', 'workers/transfers/reverse.py'),
    ('workers/transfer_settlement.py', 'workers/transfers/settlement.py'),
    ('workers/unanswered.py', 'workers/runtime/unknown_outcomes.py'),
    ('workers/verify.py', 'workers/verify/verify.py'),
    ('workers/verify_fees.py', 'workers/verify/fees.py'),
    ('workers/verify_groups.py', 'workers/verify/groups.py'),
    ('workers/verify_money.py', 'workers/verify/money.py'),
    ('workers/verify_report.py', 'workers/verify/report.py'),
    ('workers/verify_shares.py', 'workers/verify/shares.py'),
    ('workers/verify_sides.py', 'workers/verify/sides.py'),
    ('workers/verify_tokens.py', 'workers/verify/tokens.py'),
    ('workers/webhook.py', 'workers/webhooks/webhook.py');

UPDATE dead_letters SET top_frame = top_frame WHERE frame_today(top_frame) <> top_frame;
