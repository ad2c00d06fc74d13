"""The report of a run of the proof: deploy/docs/alerts-proof.md."""

from pathlib import Path

from deploy.local.proofs.alerts.impatience import AGES, alerts
from deploy.local.proofs.alerts.result import Result

PAGE = Path(__file__).resolve().parents[3] / "docs" / "alerts-proof.md"
HEAD = f"""\
# Every alert, triggered for real

Written by `fleet prove alerts --write`: the whole fleet on one machine with its chain, a Prometheus that scrapes each
process every two seconds, and an Alertmanager with `deploy/prometheus/alertmanager.yaml` (with other addresses and
keys, and a `group_interval` of five seconds). A small server replaces PagerDuty and Slack and rejects what they would
reject: a PagerDuty event (Events API v2) without a summary, a severity or a runbook link, a Slack message without a
title, a text or that link.

Rate windows and `for` are shortened to seconds. The age thresholds are shortened as well for
{", ".join(sorted(AGES))};
a recipient may owe 1.00 instead of 1000.00. *(time moved)*: a timestamp was changed in the database instead of waiting
for days. "silenced by": Alertmanager inhibited it, because the other alert names the cause.

"""


def of(result: Result) -> str:
    lines = [HEAD, "| alert | triggered by | sent to | summary |\n| --- | --- | --- | --- |\n"]
    for alert in alerts():
        fired = result.fired.get(alert)
        if fired is None:
            lines.append(f"| {alert} | {result.missing.get(alert, 'not tried')} | | **did not fire** |\n")
        else:
            moved = " *(time moved)*" if fired.moved_time else ""
            lines.append(f"| {alert} | {fired.by}{moved} | {fired.sent_to or '**nobody**'} | {fired.said} |\n")
    early = ", ".join(sorted(result.early)) or "none"
    lines.append(f"\nFired while the fleet was healthy and orders arrived: {early}.\n\n{result.figures()}\n")
    return "".join(lines)
