"""The page for people that a run of the proof leaves behind: deploy/docs/alerts-proof.md."""

from pathlib import Path

from deploy.local.proofs.alerts.impatience import AGES, alerts
from deploy.local.proofs.alerts.result import Result

PAGE = Path(__file__).resolve().parents[3] / "docs" / "alerts-proof.md"
HEAD = f"""\
# Each alert, fired once for real

Written by `fleet alerts-proof --write`: the whole fleet on one machine with its chain, a Prometheus that scrapes each
process every other second, and an Alertmanager with `deploy/prometheus/alertmanager.yaml`, of which addresses and keys
differ, and `group_interval`: five seconds. A small server stands where PagerDuty and Slack would be, and refuses what
they would: an event of PagerDuty's Events API v2 without summary, severity or a link to a runbook, a message to Slack
without title, text or that link.

Windows of rates are shortened to seconds, and so is `for`. The age is shortened too for
{", ".join(sorted(AGES))};
a recipient may owe 1.00 and not 1000.00. *(time moved)*: a time was moved in the database, because days would have to
pass. "silenced by": Alertmanager held it back, because the other alert says what is wrong.

"""


def of(result: Result) -> str:
    lines = [HEAD, "| alert | provoked by | told to | it said |\n| --- | --- | --- | --- |\n"]
    for alert in alerts():
        fired = result.fired.get(alert)
        if fired is None:
            lines.append(f"| {alert} | {result.missing.get(alert, 'not tried')} | | **did not fire** |\n")
        else:
            moved = " *(time moved)*" if fired.moved_time else ""
            lines.append(f"| {alert} | {fired.by}{moved} | {fired.told_to or '**nobody**'} | {fired.said} |\n")
    early = ", ".join(sorted(result.early)) or "none"
    lines.append(f"\nWhile all was well and orders came in, these fired: {early}.\n\n{result.figures()}\n")
    return "".join(lines)
