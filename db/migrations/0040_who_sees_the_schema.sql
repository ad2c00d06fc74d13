-- A process that starts looks whether the database has the schema of its own version (`fleet schema wait`), by its own
-- login, which may read nothing else before it has become a role. Names and fingerprints of migrations are in the source.
GRANT SELECT ON schema_migrations TO PUBLIC;
