"""The servers of one machine: PostgreSQL, RabbitMQ, Valkey, the chain, the supervisor, and `fleet up`."""
