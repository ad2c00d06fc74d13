"""A real chromium on the real process's pages, over HTTP on loopback."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from deploy.local.stack.memory import free_port
from messages.runtime.settings import AppEnv
from outbox.ops.console.app import app
from outbox.ops.console.auth.login import Login, User, hashed
from outbox.ops.console.auth.tokens import OperatorRole
from outbox.ops.console.request_context import Services
from outbox.ops.console.settings import ConsoleSettings

PASSWORD = "correct horse battery staple"
CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
WHY_SKIPPED = "no chromium on the PATH: `make test` installs it as root or with sudo (Debian: apt-get install chromium)"
# Root may not use chromium's sandbox, and /dev/shm is tiny in containers.
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


def login(settings: ConsoleSettings) -> Login:
    people = {"oda": OperatorRole.OPERATOR, "ada": OperatorRole.APPROVER, "rita": OperatorRole.READER}
    word = hashed(PASSWORD)
    return Login({name: User(name, (role,), word) for name, role in people.items()}, settings)


@contextmanager
def served(services: Services) -> Iterator[str]:
    """The address at which the console answers."""
    port = free_port(taken=())
    server = uvicorn.Server(uvicorn.Config(app(services, AppEnv.LOCAL), host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    services.sampler.start()
    yield f"http://127.0.0.1:{port}"
    services.sampler.stop()
    server.should_exit = True
    thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def page_of(
    browser: Browser, address: str, *, width: int = 1280, scheme: str = "light", complaints: list[str] | None = None
) -> Iterator[Page]:
    """A fresh person's tab; what the browser complains about (a broken policy, a failed script) is collected."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    heard = complaints if complaints is not None else []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            heard.append(f"{message.text} ({message.location.get('url')})")

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield page
    context.close()


def log_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def shoot(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png", full_page=True)
