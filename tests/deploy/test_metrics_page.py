"""deploy/docs/metrics.md: every metric there is, by names as Prometheus wants them."""

import re

from deploy import metrics_page


def test_the_committed_page_is_not_stale() -> None:
    assert metrics_page.PAGE.read_text() == metrics_page.page()  # `make docs` writes it


def test_names_follow_the_conventions() -> None:
    for line in metrics_page.lines():
        assert re.fullmatch(r"fleet(_[a-z]+)+", line.name), line.name
        assert line.kind == "counter" or not line.name.endswith("_total"), line.name
        assert line.kind != "histogram" or line.name.endswith("_seconds"), line.name
        assert line.says, line.name


def test_no_label_can_hold_a_person_or_a_payment() -> None:
    labels = {label for line in metrics_page.lines() for label in line.labels}

    assert not labels & {"payment_id", "order_id", "buyer_id", "message_id", "trace_id", "charge_id"}
