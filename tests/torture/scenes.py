"""Scenes: what the program does with its files, to be recorded, killed, or let down by its disk."""

import importlib.util
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from tests.support.beside import beside
from tests.support.database import earlier_migrations
from tests.support.migrations import with_positional_digests
from tests.support.repositories import DAY, NOON, Making, document
from tests.torture.contents import Made, contents, made_at
from tests.torture.interposed import Interposed
from tests.torture.stage import Played, Stage, stage
from tests.torture.trial import Bout

DATABASE = Path("data/overviews.db")
KEY = "S3CR3TK3YOFOURS1"
_SYMBOLS = ("AAPL", "IBM", "MSFT", "PEP")
_SCHEDULED = {
    "PIPELINE_SYMBOLS__LIST": '["GOOG", "NVDA", "TSLA"]',
    "PIPELINE_SCHEDULE__CRON": "0 0 1 * *",
    "PIPELINE_SCHEDULE__CATCH_UP_HOURS": "800",
}
"""A daemon that catches up the first of the month at once, with companies that nobody has requested yet."""
_READ_THROUGH = {
    "PIPELINE_SCHEDULE__CATCH_UP_HOURS": "0",
    "PIPELINE_WEB__LISTEN": "127.0.0.1:0",
    "PIPELINE_WEB__READ_THROUGH": "true",
}
"""A daemon that requests only what clients ask for."""
_IDLE = '"next run"'
"""The event that the daemon logs when there is nothing more to do."""
COPIES, KEPT = Path("copies"), 2
"""Where a backup adds a dated copy, and how many it keeps."""
_SAYS_DONE = {"init": "exists", "backup": "exists", "export, parts": "is not empty"}
"""What scenes say that replace nothing."""
_NEEDS = {"export, parts": "pyarrow", "plot": "vl_convert"}
"""Scenes of extras, by what has to be installed. It is loaded each time, as it may start threads: that is slow."""
_LIMIT = "1000000/day"
"""So large that it never ends, but each request takes a slot, and a restored ledger has to have all of them."""
_CONFIG = """
database = "{database}"
symbols.list = {symbols}
[source]
base_url = "{url}"
limits = ["{limit}"]
concurrency = 2
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A command, and the files that it finds."""

    name: str
    before: Path | None
    """A folder to be copied; None: an empty one."""
    command: tuple[str, ...]
    makes: tuple[Path, ...] = ()
    """Files that it makes besides the database."""
    variables: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    """How often the command is run for a recording, so that what one leaves undone meets the next."""
    stop_at: str | None = None
    """The text that it prints when it is to be stopped; None: it ends by itself, or once a client has its answer."""
    asks: str | None = None
    """The company that a client asks the daemon for."""
    outside: Callable[[], object] | None = None
    """Makes what it finds outside of the folder as it was before."""
    then: Callable[[Path], object] = lambda _folder: None
    """Returns what else there is in the end, in and outside of the folder."""
    is_slow: bool = False
    """Whether it is left out of the short form."""
    says_done: str | None = None
    """What its error says when it is repeated though it was done; None: it may be repeated."""

    @property
    def fleet(self) -> dict[str, str]:
        """Return the variables that every command needs on its record."""
        return {name: value for name, value in self.variables.items() if name.startswith("PIPELINE_FLEET")}

    @property
    def is_run(self) -> bool:
        """Whether it requests and observes, so that it adds to the record each time."""
        return "collect" in self.command or self.is_daemon

    @property
    def is_daemon(self) -> bool:
        """Whether it is the daemon, which outlives what ends a command."""
        return self.stop_at is not None or self.asks is not None

    def prepare(self, folder: Path) -> None:
        """Make the folder in which the command is to be run, and what it finds outside of it."""
        if self.outside is not None:
            self.outside()
        if self.before is None:
            folder.mkdir(parents=True)
        else:
            shutil.copytree(self.before, folder)

    def made(self, folder: Path) -> dict[Path, Made]:
        """Return what there is of all that it makes, in a folder. Raise as `made_at` does."""
        return {path: made_at(folder / path) for path in self.makes}


class Requests(list[str]):
    """The symbols that were requested, in order; each is reported when its request arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.on_request: Callable[[str], object] = lambda _symbol: None

    def append(self, symbol: str) -> None:
        """Report a request, before it is answered."""
        self.on_request(symbol)
        super().append(symbol)


class Calendar:
    """The day that the API is asked on."""

    def __init__(self) -> None:
        self.day = date(2026, 3, 13)

    def __call__(self) -> date:
        """Return the day."""
        return self.day


class Theatre:
    """A stage with a disk, and the scenes that are played there."""

    def __init__(
        self, place: Path, interposed: Interposed, acting: Stage, requests: Requests, calendar: Calendar
    ) -> None:
        self.disk = interposed.watched
        self.interposed = interposed
        self.requests = requests
        self._place = place
        self._stage = acting
        self._calendar = calendar

    def play(
        self,
        folder: Path,
        *command: str,
        variables: Mapping[str, str] | None = None,
        out: Path | None = None,
        stop_at: str | None = None,
        asks: str | None = None,
    ) -> Played:
        """Run a command of the program in a folder, the next day as far as the API is concerned.

        Its temporary files are in that folder, too: they are changes like all others.
        """
        self._calendar.day += timedelta(days=1)
        variables = {
            "PIPELINE_CONFIG": str(self._place / "pipeline.toml"),
            "ALPHAVANTAGE_API_KEY": KEY,
            "TMPDIR": str(folder),
            **(variables or {}),
        }
        return self._stage.play(folder, *command, out=out, stop_at=stop_at, asks=asks, **variables)

    def load(self, *modules: str) -> None:
        """Load what the scenes that come import when they need it."""
        self._stage.load(*modules)

    def perform(self, scene: Scene, folder: Path, *, out: Path | None = None) -> Played:
        """Run the command of a scene in a folder."""
        asks = scene.asks and f"/query?function=OVERVIEW&symbol={scene.asks}&apikey=any"
        return self.play(folder, *scene.command, variables=scene.variables, out=out, stop_at=scene.stop_at, asks=asks)

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes; what they begin with is made by the program."""
        given = self._place / "given"
        base, later = given / "base", given / "later"
        backup, archive = str(given / "backup.db"), str(given / "archive.jsonl")
        collect = ("-vv", "collect", "--force", *_SYMBOLS)
        yield Scene("first start", None, collect)
        base.mkdir(parents=True)
        self._must(base, "collect")
        yield Scene("collect", base, collect)
        yield from self._written(base)
        yield Scene("collect, four days", base, collect, times=4)
        yield Scene("collect, no limits", base, collect, variables={"PIPELINE_SOURCE__LIMITS": "[]"})
        yield Scene("daemon", base, ("-vv", "run"), variables=_SCHEDULED, stop_at=_IDLE)
        self.load("pipeline.pages.routes")
        through = {**_SCHEDULED, **_READ_THROUGH}
        yield Scene("daemon, read-through", base, ("-vv", "run"), variables=through, asks="ORCL")
        self._must(base, "backup", backup)
        yield Scene("backup", base, ("backup", "copy.db"), (Path("copy.db"),), says_done=_SAYS_DONE["backup"])
        yield Scene("backup, dated", self._dated(base), ("backup", "--keep", str(KEPT), str(COPIES)), (COPIES,))
        shutil.copytree(base, later)
        self._must(later, "collect", "--force")
        yield Scene("restore", later, ("restore", backup))
        added = sorted(
            at for _, at, _ in contents(later / DATABASE).observations - contents(base / DATABASE).observations
        )
        span = ("--since", added[0], "--until", added[-1])
        yield Scene("correct", later, ("correct", *span, "--remove", "--yes"))
        yield Scene("migrate, in steps", self._old(later, 11), ("migrate", "--no-backup"))
        yield Scene("migrate, oldest", self._old(later, 1), ("migrate",))
        self._must(later, "export", "--original", "--output", archive)
        yield Scene("import", base, ("import", archive, "--allow-back-dated"))
        if shutil.which("git"):
            yield Scene("import, git", base, ("import", "--git", str(self._repository()), "--path", "{symbol}.json"))

    def _written(self, record: Path) -> Iterator[Scene]:
        """Yield scenes of commands that write other files than a record."""
        given = self._place / "given"
        earlier, rows = given / "exported", given / "rows.csv"
        shutil.copytree(record, earlier)
        (earlier / "out.jsonl").write_text("an earlier export\n")
        rows.write_text("symbol,time\nAAPL,2030-01-01\n")
        grid = ("--since", "2026-03-14", "--until", "2026-03-15")
        for name, before, command, made in (
            ("init", record, ("--config", "config/pipeline.toml", "init"), ("config/pipeline.toml", ".env")),
            ("export", earlier, ("export", "--original", "--output", "out.jsonl"), ("out.jsonl",)),
            ("join", record, ("join", str(rows), "pe_ratio", "--output", "out.csv"), ("out.csv",)),
            ("panel", record, ("panel", "pe_ratio", *grid, "--output", "out.csv"), ("out.csv",)),
            ("metadata", record, ("datasette-metadata", "--output", "out.json"), ("out.json",)),
            ("export, parts", record, ("export", "--partition", "--output", "parts"), ("parts",)),
            ("plot", record, ("history", _SYMBOLS[0], "pe_ratio", "--plot", "out.svg"), ("out.svg",)),
        ):
            extra = _NEEDS.get(name)
            if extra is None or importlib.util.find_spec(extra):
                files, says_done = tuple(map(Path, made)), _SAYS_DONE.get(name)
                yield Scene(name, before, command, files, is_slow=extra is not None, says_done=says_done)

    def _dated(self, record: Path) -> Path:
        """Return a folder with a record, and a folder of two dated copies of it."""
        folder = self._place / "given" / "dated"
        shutil.copytree(record, folder)
        (folder / COPIES).mkdir()
        for day in range(KEPT):
            self._must(folder, "backup", f"{COPIES}/{DATABASE.stem}-2026-01-{day + 1:02}T000000Z.db")
        return folder

    def _repository(self) -> Path:
        """Return a git repository in which somebody collected."""
        making = Making(self._place / "given" / "collected.git")
        for day in range(3):
            documents = {f"{one}.json": document(one, EPS=f"{day}.5") for one in _SYMBOLS[: day + 1]}
            making.commit(documents, at=NOON + day * DAY)
        return making.make()

    def _must(self, folder: Path, *command: str) -> None:
        played = self.play(folder, *command)
        if played.code:
            raise AssertionError(f"{command} ended with {played.code}: {played.err}")

    def _old(self, newest: Path, version: int) -> Path:
        """Return a folder with the record of another, in the schema of an older version."""
        old = self._place / "given" / f"schema {version}"
        (old / "data").mkdir(parents=True)
        folder = earlier_migrations(self._place / "given", version)
        with_positional_digests(newest / DATABASE, old / DATABASE, folder)
        with closing(sqlite3.connect(old / DATABASE)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return old


@contextmanager
def theatre(bout: Bout) -> Iterator[Theatre]:
    """Yield a theatre in the folder of a bout."""
    disk = bout.folder / "disk"
    disk.mkdir()
    interposed = Interposed(bout.folder, disk)
    calendar, requests = Calendar(), Requests()
    api = SandboxApi(companies=Companies(), limits=[Limit.parse(_LIMIT)], day=calendar)
    api.seen = requests
    with beside(api.serve) as url, stage(bout.folder, bout.environment(**interposed.variables)) as acting:
        config = _CONFIG.format(database=DATABASE, symbols=[*_SYMBOLS], limit=_LIMIT, url=url)
        (bout.folder / "pipeline.toml").write_text(config)
        yield Theatre(bout.folder, interposed, acting, requests, calendar)
