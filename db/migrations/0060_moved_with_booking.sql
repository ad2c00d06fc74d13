-- Functions that were renamed when booking got one contract and "ask, or look up" one place: their dead letters keep their
-- groups (move_source_file, 0051).
SELECT move_source_file('db/ledger/journals.py:post_together', 'db/ledger/journals.py:post');
SELECT move_source_file('workers/disputes/answer.py:carry_out', 'workers/disputes/answer.py:_carry_out');
SELECT move_source_file('workers/disputes/answer.py:_find_out', 'workers/disputes/answer.py:_look_up');
SELECT move_source_file(
    'workers/runtime/unknown_outcomes.py:leave_unknown', 'workers/runtime/unknown_outcomes.py:_leave_unknown');
SELECT move_source_file(
    'workers/runtime/unknown_outcomes.py:wait_for_absence', 'workers/runtime/unknown_outcomes.py:_wait_for_absence');
SELECT move_source_file(
    'workers/transfers/destination_charges.py:wish', 'workers/transfers/destination_charges.py:intent_parameters');
SELECT move_source_file(
    'workers/transfers/destination_charges.py:book_refund', 'workers/transfers/destination_charges.py:record_refund');
SELECT move_source_file(
    'workers/transfers/destination_charges.py:_book_fee', 'workers/transfers/destination_charges.py:_record_fee');
SELECT move_source_file(
    'workers/transfers/destination_charges.py:_book_reversal',
    'workers/transfers/destination_charges.py:_record_reversal');
SELECT move_source_file(
    'workers/transfers/destination_charges.py:_book_transfer',
    'workers/transfers/destination_charges.py:_record_transfer');
