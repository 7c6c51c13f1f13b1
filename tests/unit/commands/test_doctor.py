"""The doctor: what it finds here, what it says of it, and what it never says."""

from __future__ import annotations

import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from segpipe.commands import doctor

ROOT = Path(__file__).parents[3]


def test_a_lock_is_read_with_its_markers_and_its_two_versions_of_one_package() -> None:
    text = """
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:abc
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:def
PyYAML==6.0.3 \\
    --hash=sha256:123
    # via dvc
uvicorn[standard]==0.54.0+local \\
"""
    versions, needed = doctor.locked_versions(text)
    assert versions == {"numpy": ["2.4.6", "2.5.5"], "pyyaml": ["6.0.3"], "uvicorn": ["0.54.0"]}
    assert needed == {"pyyaml", "uvicorn"}


def packages_against(lock: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> doctor.Finding:
    (folder / "requirements.lock").write_text(lock)
    monkeypatch.chdir(folder)
    return next(doctor.packages())


def test_a_package_that_is_not_as_locked_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = packages_against("pytest==1.0 \\\nno-such-package==2.0 \\\n", monkeypatch, tmp_path)
    assert found.state == "FAULT"
    assert f"pytest {pytest.__version__} instead of 1.0, no no-such-package" in found.found
    assert found.cure == "`make setup`"


def test_packages_as_locked_are_well_and_those_of_other_machines_not_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = f"pytest=={pytest.__version__} \\\nno-such-package==2.0 ; sys_platform == 'win32' \\\n"
    assert packages_against(lock, monkeypatch, tmp_path).state == "ok"


def test_a_credential_is_named_by_its_place_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CITYSCAPES_USERNAME", "somebody")
    monkeypatch.setenv("CITYSCAPES_PASSWORD", "hunter2")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    token = tmp_path / ".kaggle/kaggle.json"
    token.parent.mkdir()
    token.write_text('{"username": "me", "key": "s3cret"}')
    token.chmod(0o600)
    kaggle, cityscapes = doctor.credentials()
    assert (kaggle.state, kaggle.found) == ("ok", f"Kaggle: {token}")
    assert (cityscapes.state, cityscapes.found.partition(": ")[0]) == ("ok", "Cityscapes")
    told = str(kaggle) + str(cityscapes)
    assert not any(secret in told for secret in ("s3cret", "hunter2", "somebody"))
    token.chmod(0o644)
    assert next(doctor.credentials()).cure == f"`chmod 600 {token}`"


def test_half_a_pair_of_variables_is_no_credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    monkeypatch.delenv("KAGGLE_CONFIG_DIR", raising=False)
    monkeypatch.delenv("KAGGLE_KEY", raising=False)
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    assert next(doctor.credentials()).state == "note"


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with 403."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_somebody_who_refuses_us_is_reached_all_the_same() -> None:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert doctor.answer(f"http://127.0.0.1:{server.server_port}") == ""
    finally:
        server.shutdown()
        server.server_close()
    assert "refused" in doctor.answer(f"http://127.0.0.1:{server.server_port}")


def test_a_process_that_holds_a_stage_s_files_is_told_apart_from_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "rwlock").write_text('{"/p/data/a": {"write": {"pid": 1, "cmd": "dvc repro"}}}')
    assert [finding.found for finding in doctor._busy(tmp_path / "rwlock")] == ["process 1 runs a stage"]
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "rwlock").write_text(f'{{"/p/data/a": {{"read": [{{"pid": {ended.pid}}}]}}}}')
    assert "was killed" in next(doctor._busy(tmp_path / "rwlock")).found
    assert list(doctor._busy(tmp_path / "none")) == []


def test_a_look_that_fails_is_a_finding_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = doctor._looked(doctor.git)
    assert (found.state, found.subject) == ("FAULT", "git")
    assert "git init" in found.found


def test_cures_stand_below_what_they_cure_and_the_end_counts_the_faults() -> None:
    findings = [doctor.Finding("ok", "Python", "3.11"), doctor.Finding("FAULT", "disk", "full", "empty it")]
    assert list(doctor.lines(findings)) == [
        "ok     Python       3.11",
        "FAULT  disk         full",
        "                    → empty it",
        "\n1 to mend.",
    ]


def test_it_takes_seconds_and_never_loads_torch() -> None:
    program = "import sys; from segpipe.commands import doctor; doctor.run(False, False); print(*sys.modules)"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 10
    assert not {"torch", "mlflow", "dvc"} & set(done.stdout.splitlines()[-1].split())
