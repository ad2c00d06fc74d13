"""RabbitMQ: topology, publisher, the Dramatiq broker, encoding and URLs."""
