"""The dashboards as code, one module per dashboard.

`python -m deploy.grafana.build` writes deploy/grafana/dashboards/*.json from it; a test checks that they are current.
"""

from deploy.grafana.money import MONEY
from deploy.grafana.queues import QUEUES
from deploy.grafana.stripe import STRIPE

BOARDS = (MONEY, STRIPE, QUEUES)
