-- The same promises of the ledger, checked once for each journal and each statement instead of twice for each entry.
--
-- The first check read the whole journal for every entry, at commit: seven pairs of queries for a usual payment. Now
-- every statement that adds entries must add zero in each currency of each journal. Entries are never changed, so
-- whatever is built from such statements sums to zero, and an entry added later to an old journal is refused at once.
-- What is left for the commit is that a new journal has two entries.

DROP TRIGGER entries_sum_to_zero ON ledger_entries;
DROP TRIGGER journals_sum_to_zero ON ledger_journals;
DROP FUNCTION check_journal_balances();

CREATE FUNCTION check_added_entries_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    off record;
BEGIN
    SELECT journal_id, currency INTO off
    FROM added GROUP BY tenant_id, journal_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % does not sum to zero in %', off.journal_id, off.currency
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION check_journal_has_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    lines integer;
BEGIN
    SELECT count(*) INTO lines
    FROM ledger_entries WHERE tenant_id = NEW.tenant_id AND journal_id = NEW.journal_id;
    IF lines < 2 THEN
        RAISE EXCEPTION 'journal % has % entries; double entry needs two', NEW.journal_id, lines
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER entries_sum_to_zero AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_added_entries_balance();
CREATE CONSTRAINT TRIGGER journals_have_entries AFTER INSERT ON ledger_journals
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal_has_entries();
