"""Deployment files: each parses, and names only metrics, commands, settings and files that exist."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.app import COMMANDS
from pipeline.errors import ExitCode
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.monitoring.metrics import Metrics
from pipeline.quota.estimate import WindowUsage
from pipeline.settings.environment import API_KEY_FILE, FLEET_URL_FILE, is_setting
from pipeline.store.noted_backups import NotedBackups
from tests.support.clocks import START
from tests.support.monitoring import EMPTY, FLEET_VIEW, values

yaml = pytest.importorskip("yaml", reason="no YAML library: apprise, a dev dependency, brings one")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "alerts.yml"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
OF_FLEET = DEPLOY / "compose-fleet.yaml"
COMPOSED = [ROOT / "compose.yaml", OF_FLEET]
UNITS = sorted(DEPLOY.glob("*.service"))
INSTALLED = "/opt/overview-pipeline/bin/pipeline"
ELSEWHERE = {"PIPELINE_CONFIG", "PIPELINE_NOTIFY_URLS", "PIPELINE_PING_URL", "PIPELINE_WEB_TOKEN"}
ELSEWHERE |= {API_KEY_FILE, FLEET_URL_FILE}
"""Variables that the program reads besides its settings."""


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def compose(path: Path = ROOT / "compose.yaml") -> Any:
    return parsed(path)


def rules() -> list[Any]:
    return [rule for group in parsed(ALERTS)["groups"] for rule in group["rules"]]


def panels() -> list[Any]:
    return list(json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"])


def exported() -> set[str]:
    """Return the name of every series that the daemon exports."""
    windows = [WindowUsage("25/day", 0, 25, None)]
    known = replace(EMPTY, last_success=START, backups=NotedBackups(START), windows=windows, fleet=FLEET_VIEW)
    beat = Heartbeat(pid=1, started_at=START, at=START, state=DaemonState.IDLE, next_fire=START, silent_seconds=0.0)
    return {name.partition("{")[0] for name in values(Metrics().render(known, beat)[1])}


# Prometheus and Grafana


@pytest.mark.parametrize("path", [ALERTS, DEPLOY / "alerts.test.yml", DASHBOARD], ids=lambda path: path.name)
def test_every_metric_named_is_exported(path: Path) -> None:
    named = set(re.findall(r"\b(?:pipeline|process)_[a-z_]+", path.read_text(encoding="utf-8")))
    assert named
    assert named <= exported()


def test_every_label_value_queried_exists() -> None:
    text = ALERTS.read_text(encoding="utf-8") + DASHBOARD.read_text(encoding="utf-8").replace('\\"', '"')
    page = Metrics().render(replace(EMPTY, fleet=FLEET_VIEW), None)[1].decode()
    for label, names in re.findall(r'\b(state|role|status|outcome)=~?"([a-z_|]+)"', text):
        for name in names.split("|"):
            assert f'{label}="{name}"' in page, (label, name)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_a_duration_and_a_remedy(rule: Any) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.fullmatch(r"[0-9]+[mhd]", rule["for"])
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    assert len(rule["annotations"]["description"]) > 80


def test_every_alert_is_tested_and_has_its_own_name() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert set(re.findall(r"Pipeline[A-Z]\w+", (DEPLOY / "alerts.test.yml").read_text(encoding="utf-8"))) == set(names)


@pytest.mark.process
def test_the_alerts_pass_their_tests() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, of Prometheus, is not on this machine")
    done = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yml"], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_and_setting_that_an_alert_names_exists() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    assert set(re.findall(r"`pipeline ([a-z-]+)", text)) <= COMMANDS.keys()
    for name in re.findall(r"\b(?:status|schedule|collect|source)\.[a-z_]+", text):
        assert is_setting("PIPELINE_" + name.upper().replace(".", "__")), name


def test_no_panels_overlap_and_each_queries_the_chosen_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert '=~"$instance"' in target["expr"]
    assert len({panel["id"] for panel in panels()}) == len(panels())


# Compose and the image


@pytest.mark.parametrize("path", COMPOSED, ids=lambda path: path.name)
def test_the_containers_mount_files_that_exist(path: Path) -> None:
    for name, service in compose(path)["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (path.parent / source).exists(), (name, source)
            else:
                assert source in compose(path)["volumes"]


@pytest.mark.parametrize("path", COMPOSED, ids=lambda path: path.name)
def test_the_containers_have_few_rights_and_listen_on_this_machine_only(path: Path) -> None:
    for name, service in compose(path)["services"].items():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service.get("read_only") or name in {"prometheus", "grafana"}


def test_only_the_daemon_starts_by_default_and_every_image_has_a_version() -> None:
    for name, service in compose()["services"].items():
        if name == "site":
            assert service["profiles"] == ["site"]
            assert service["image"] == compose()["services"]["daemon"]["image"]
        elif name != "daemon":
            assert service["profiles"] == ["monitoring"]
            assert re.fullmatch(r"[a-z/]+:v?[0-9]+\.[0-9]+\.[0-9]+@sha256:[0-9a-f]{64}", service["image"])


def test_the_key_comes_from_a_file_that_is_neither_in_git_nor_in_the_image() -> None:
    assert compose()["services"]["daemon"]["secrets"] == ["alphavantage-api-key"]
    for path in COMPOSED:
        for service in compose(path)["services"].values():
            for variable, value in service.get("environment", {}).items():
                if variable.endswith("_FILE"):
                    assert value.removeprefix("/run/secrets/") in service["secrets"], variable
        for secret in compose(path)["secrets"].values():
            assert (path.parent / secret["file"]).resolve().parent == ROOT / "data"
    assert "/data/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    shipped = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in shipped
    assert "!data" not in shipped


def test_the_fleets_containers_get_what_they_need_and_no_more() -> None:
    services = compose(OF_FLEET)["services"]
    users = {secret: {name for name in services if secret in services[name].get("secrets", ())}
             for secret in compose(OF_FLEET)["secrets"]}  # fmt: skip
    assert users == {
        "fleet-url": {"init", "north", "south", "follower"},
        "alphavantage-api-key": {"north", "south"},
        "postgres-password": {"postgres"},
    }
    assert services["follower"]["volumes"] == services["site"]["volumes"]
    own = [service["volumes"][0] for name, service in services.items() if name not in {"init", "site"}]
    assert len(own) == len(set(own))  # a record each
    names = [service["hostname"] for service in services.values() if "hostname" in service]
    assert len(names) == len(set(names)) == 3  # which the fleet knows them by
    assert re.fullmatch(r"postgres:[0-9]+\.[0-9]+@sha256:[0-9a-f]{64}", services["postgres"]["image"])


def test_prometheus_scrapes_the_address_that_the_daemon_listens_on() -> None:
    daemon = compose()["services"]["daemon"]
    port = daemon["environment"]["PIPELINE_STATUS__LISTEN"].partition(":")[2]
    (scraped,) = parsed(DEPLOY / "prometheus.yml")["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"daemon:{port}"]}]
    assert f'job="{scraped["job_name"]}"' in ALERTS.read_text(encoding="utf-8")
    assert daemon["ports"] == [f"127.0.0.1:{port}:{port}"]
    (source,) = parsed(DEPLOY / "grafana" / "datasource.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_grafana_finds_the_dashboard_where_it_is_mounted() -> None:
    (provider,) = parsed(DEPLOY / "grafana" / "dashboards.yml")["providers"]
    mounted = [volume.split(":")[1] for volume in compose()["services"]["grafana"]["volumes"] if "board.json" in volume]
    assert [str(Path(path).parent) for path in mounted] == [provider["options"]["path"]]
    home = compose()["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounted == [home]


def instructions(name: str) -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.*)$", text, flags=re.MULTILINE)


def verbs_of_the_image() -> Iterator[str]:
    """Yield every command that the image, Compose and the units run."""
    (check,) = instructions("HEALTHCHECK")
    program, verb = json.loads(check.partition("CMD ")[2])
    assert program == "pipeline"
    yield verb
    (command,) = instructions("CMD")
    yield from json.loads(command)
    for path in COMPOSED:
        ours = [one for one in compose(path)["services"].values() if one["image"] == "overview-pipeline"]
        yield from (one["command"][0] for one in ours)
    for unit in UNITS:
        yield service(unit)["ExecStart"].split()[1]


def test_every_command_that_is_run_exists() -> None:
    assert set(verbs_of_the_image()) == {"health", "run", "collect", "serve", "fleet", "follow"}
    assert set(verbs_of_the_image()) <= COMMANDS.keys()


def test_the_image_runs_the_daemon_itself_as_nobody() -> None:
    assert [json.loads(text) for text in instructions("ENTRYPOINT")] == [["pipeline"]]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert re.fullmatch(r"[1-9][0-9]+:[1-9][0-9]+", instructions("USER")[-1])


# systemd


def section(path: Path, name: str) -> dict[str, list[str]]:
    """Return the directives of a section, each with all its values."""
    directives: dict[str, list[str]] = {}
    current = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == name and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            directives.setdefault(key, []).append(value)
    return directives


def service(path: Path) -> dict[str, str]:
    return {key: given[-1] for key, given in section(path, "Service").items()}


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_the_units_set_variables_that_the_program_reads(unit: Path) -> None:
    variables = dict(text.split("=", 1) for text in section(unit, "Service")["Environment"])
    for name in variables:
        assert is_setting(name) or name in ELSEWHERE, name
    credentials = {text.partition(":")[0] for text in section(unit, "Service").get("LoadCredential", ())}
    files = {name: value for name, value in variables.items() if name.endswith("_FILE")}
    assert set(files.values()) == {f"%d/{credential}" for credential in credentials}
    assert (API_KEY_FILE in files) == (
        service(unit)["ExecStart"].split()[1] in {"run", "collect"}
    )  # others need no key
    assert (FLEET_URL_FILE in files) == (unit.name in {"pipeline-member.service", "pipeline-follow.service"})
    state = f"/var/lib/{service(unit)['StateDirectory']}"
    assert variables["PIPELINE_DATABASE"].startswith(f"{state}/")
    assert service(unit)["WorkingDirectory"] == state


def test_the_containers_set_variables_that_the_program_reads() -> None:
    ours = [
        one for path in COMPOSED for one in compose(path)["services"].values() if one["image"] == "overview-pipeline"
    ]
    variables = [name for one in ours for name in one["environment"]]
    variables += re.findall(r"(PIPELINE_[A-Z_]+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for name in variables:
        assert is_setting(name) or name in ELSEWHERE, name


def test_systemd_does_not_restart_what_a_restart_cannot_fix() -> None:
    for name in ("pipeline", "pipeline-member", "pipeline-follow"):
        stays_ended = service(DEPLOY / f"{name}.service")["RestartPreventExitStatus"].split()
        assert stays_ended == [str(ExitCode.REFUSED), str(ExitCode.BUSY)]
    assert service(DEPLOY / "pipeline-collect.service")["SuccessExitStatus"] == str(ExitCode.QUOTA)


def test_systemd_starts_nothing_without_the_volume_of_the_record() -> None:
    for unit in UNITS:
        assert service(unit)["StateDirectory"] == "overview-pipeline"
        assert "\nRequiresMountsFor=/var/lib/overview-pipeline\n" in unit.read_text(encoding="utf-8")


def test_both_units_have_the_same_hardening() -> None:
    def hardening(unit: Path) -> str:
        text = unit.read_text(encoding="utf-8")
        return text[text.index("CapabilityBoundingSet=") :].partition("[Install]")[0].strip()

    assert len({hardening(unit) for unit in UNITS}) == 1


@pytest.fixture
def systemd(tmp_path: Path) -> Path:
    """A folder with the units as they would be on a machine on which the program is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    for path in (*UNITS, *DEPLOY.glob("*.timer")):
        text = path.read_text(encoding="utf-8").replace(INSTALLED, sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


def analyze(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.process
def test_systemd_finds_nothing_wrong_with_the_units(systemd: Path) -> None:
    units = sorted(systemd.iterdir())
    assert len(units) == 6
    assert [line for line in analyze("verify", *units).splitlines() if str(systemd) in line] == []


@pytest.mark.process
@pytest.mark.parametrize("unit", [path.name for path in UNITS])
def test_the_units_have_little_exposure(systemd: Path, unit: str) -> None:
    """As systemd rates it, times ten: most services as shipped are above 90, these at 11."""
    analyze("security", "--offline=yes", "--no-pager", "--threshold=20", systemd / unit)


@pytest.mark.process
def test_the_timer_fires_when_the_default_schedule_does(systemd: Path) -> None:
    (calendar,) = section(DEPLOY / "pipeline-collect.timer", "Timer")["OnCalendar"]
    assert "Mon..Fri *-*-* 18:30:00 America/New_York" in analyze("calendar", calendar)


PINNED = re.compile(r"[a-z]+(/[a-z]+)?:[a-z0-9.-]+@sha256:[0-9a-f]{64}")


def test_every_image_of_others_is_pinned_by_tag_and_digest() -> None:
    services = [service for path in COMPOSED for service in compose(path)["services"].values()]
    images = {service["image"] for service in services if service.get("image")} - {"overview-pipeline"}
    images |= set(re.findall(r"^ARG PYTHON_IMAGE=(.*)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))

    assert len(images) == 4
    assert [image for image in images if not PINNED.fullmatch(image)] == []
