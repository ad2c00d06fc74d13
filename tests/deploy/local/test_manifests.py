"""`make manifests` tells what is wrong from what could not be checked."""

import pytest

from deploy.local import manifests


def test_a_tool_that_is_not_here_is_no_success_and_no_failure() -> None:
    with pytest.raises(manifests.NotCheckedError, match="is not on this machine"):
        manifests.run(["no-such-tool-anywhere"])


def test_what_a_tool_or_a_schema_refuses_is_wrong() -> None:
    with pytest.raises(manifests.WrongError):
        manifests.run(["false"])
    with pytest.raises(manifests.WrongError, match="Thing a"):
        manifests.fits({"required": ["spec"]}, {"kind": "Thing", "metadata": {"name": "a"}})


def test_one_wrong_check_fails_the_command_and_the_others_are_still_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"missing": "no-such-tool-anywhere", "bad": "false", "good": "true"}
    monkeypatch.setattr(
        manifests, "checks", lambda: [(name, lambda tool=tool: manifests.run([tool])) for name, tool in names.items()]
    )

    assert manifests.main() == 1
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line and not line.startswith("fill")]
    assert said == ["not", "WRONG", "ok"]
