"""Where PagerDuty and Slack would be: one small HTTP server that takes what Alertmanager sends, and refuses what they
would refuse (developer.pagerduty.com/docs/events-api-v2/trigger-events; api.slack.com/messaging/webhooks).
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGERDUTY, SLACK = "PagerDuty", "Slack"
PAGERDUTY_PATH, SLACK_PATH = "/v2/enqueue", "/services/T000/B000/XXXX"
ROUTING_KEY = "0" * 32


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. `why_refused`: what its receiver would not have taken, empty for a good one."""

    by: str
    alert: str
    text: str
    link: str
    why_refused: str
    content: dict[str, Any]

    @property
    def is_taken(self) -> bool:
        return not self.why_refused


@dataclass
class Receiver:
    """`notifications`: what came, of alerts that fire; `resolved`: PagerDuty incidents that were closed again."""

    port: int
    notifications: list[Notification] = field(default_factory=list)
    resolved: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> str:
        """Returns why it is refused; empty when it is not."""
        content = json.loads(body)
        if path == PAGERDUTY_PATH and content.get("event_action") == "resolve":
            self.resolved += 1
            return "" if content.get("dedup_key") else "dedup_key is missing"
        notification = of_pagerduty(content) if path == PAGERDUTY_PATH else of_slack(content)
        self.notifications.append(notification)
        return notification.why_refused


def of_pagerduty(event: dict[str, Any]) -> Notification:
    """An event of the Events API v2."""
    payload = event.get("payload", {})
    link = next((each.get("href", "") for each in event.get("links", [])), "")
    wrong = [
        *(["routing_key"] if event.get("routing_key") != ROUTING_KEY else []),
        *(["event_action"] if event.get("event_action") != "trigger" else []),
        *(f"payload.{name}" for name in ("summary", "source") if not payload.get(name)),
        *(["payload.severity"] if payload.get("severity") not in {"critical", "error", "warning", "info"} else []),
        *(["links"] if not link.startswith("https://") else []),
    ]
    why = f"missing or wrong: {', '.join(wrong)}" if wrong else ""
    return Notification(PAGERDUTY, payload.get("class", ""), payload.get("summary", ""), link, why, event)


def of_slack(message: dict[str, Any]) -> Notification:
    """An incoming webhook with one attachment, as Alertmanager makes it."""
    made: dict[str, Any] = next(iter(message.get("attachments", [])), {})
    link = made.get("title_link", "")
    wrong = [name for name in ("title", "text", "title_link") if not made.get(name)]
    why = (
        f"missing: {', '.join(wrong)}"
        if wrong
        else ""
        if link.startswith("https://")
        else "no link that can be followed"
    )
    return Notification(SLACK, made.get("title", ""), made.get("text", ""), link, why, message)


@contextmanager
def receiver(port: int) -> Iterator[Receiver]:
    """Listens until the block is left."""
    here = Receiver(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            why = here.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            answer = json.dumps({"status": why or "success"}).encode()
            self.send_response(400 if why else 202 if self.path == PAGERDUTY_PATH else 200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """It says nothing by itself: who reads `notifications` sees everything."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
