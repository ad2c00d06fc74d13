"""The dashboards as code, a module each.

`python -m deploy.grafana.build` writes deploy/grafana/dashboards/*.json from it; a test compares them.
"""

from deploy.grafana.money import MONEY
from deploy.grafana.queues import QUEUES
from deploy.grafana.stripe import STRIPE

BOARDS = (MONEY, STRIPE, QUEUES)
