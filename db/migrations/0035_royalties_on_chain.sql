-- What the chain says of royalties is what the fleet pays: the sum of the royalty settings of a resale, in force now.
-- An event with settings of its own follows these alone. NULL: there are none, and the venue's own word counts.
CREATE FUNCTION resale_royalty_points(uuid, uuid, uuid) RETURNS integer
LANGUAGE sql STABLE
RETURN (
    WITH valid AS (
        SELECT r.event_id, r.basis_points FROM royalty_settings r
        WHERE r.tenant_id = $1 AND r.venue_id = $2 AND r.sale = 'resale' AND (r.event_id = $3 OR r.event_id IS NULL)
          AND clock_timestamp() >= r.valid_from AND clock_timestamp() < r.valid_until
    )
    SELECT CASE WHEN count(*) > 0 THEN least(sum(v.basis_points), 10000)::integer END FROM valid v
    WHERE (v.event_id IS NOT NULL) = EXISTS (SELECT FROM valid w WHERE w.event_id IS NOT NULL)
);
