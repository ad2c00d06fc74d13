"""RabbitMQ: topology, publisher, the Dramatiq broker, encoding and URLs.

Whoever connects imports a module of this package first, so its one change of pika is made here.
"""

from outbox.broker import field_values

field_values.install()
