"""Secrets: found and masked by their shape or name, false alarms not, and none in any byte that is written."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from helpers_lived import copy_lived
from helpers_work import ends_in_cpu_seconds
from IPython.core.interactiveshell import InteractiveShell

import mlnb
from mlnb.core import secrets
from mlnb.core.errors import RefusedError
from mlnb.core.result import Report, Result, Status
from mlnb.core.secrets import MASK, mask, mask_values

ROOT = Path(__file__).resolve().parents[1]


def random(name: str, length: int, letters: str = "") -> str:
    """The same letters for the same name, a mixture of all kinds."""
    letters = letters or "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    numbers = hashlib.shake_256(name.encode()).digest(length)
    mixed = "".join(letters[n % len(letters)] for n in numbers)
    return f"{mixed[: length - 3]}7kQ"[:length] if letters[-1] == "9" else mixed


HEX = "0123456789abcdef"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SHAPES = {
    "aws": lambda n: "AKIA" + random(n, 16, UPPER),
    "github": lambda n: "ghp_" + random(n, 36),
    "github, server": lambda n: "ghs_" + random(n, 36),
    "github, fine": lambda n: "github_pat_" + random(n, 22) + "_" + random(n + "2", 59),
    "gitlab": lambda n: "glpat-" + random(n, 20),
    "slack": lambda n: "xoxb-" + random(n, 12, "0123456789") + "-" + random(n, 24),
    "openai": lambda n: "sk-" + random(n, 48),
    "openai, project": lambda n: "sk-proj-" + random(n, 60),
    "anthropic": lambda n: "sk-ant-api03-" + random(n, 80) + "-" + random(n, 6),
    "google": lambda n: "AIza" + random(n, 35),
    "stripe": lambda n: "sk_live_" + random(n, 24),
    "jwt": lambda n: f"eyJ{random(n, 20)}.eyJ{random(n + '2', 40)}.{random(n + '3', 43)}",
    "npm": lambda n: "npm_" + random(n, 36),
    "pypi": lambda n: "pypi-AgEIcHlwaS5vcmc" + random(n, 100),
    "hugging face": lambda n: "hf_" + random(n, 34),
    "sendgrid": lambda n: "SG." + random(n, 22) + "." + random(n + "2", 43),
    "databricks": lambda n: "dapi" + random(n, 32, HEX),
    "slack, hook": lambda n: "hooks.slack.com/services/T" + random(n, 8, UPPER) + "/B" + random(n, 20),
}
SAYINGS = {
    "python": 'db_password = "{}"',
    "python, key": "client = Client(api_key='{}')",
    "json": '{{"access_token": "{}", "age": 7}}',
    "json in json": '"{{\\"secret\\": \\"{}\\"}}"',
    "yaml": "db:\n  password: {}\n  user: ana",
    "dotenv": "API_TOKEN={}\nDEBUG=1",
    "shell": "export MY_SECRET='{}'",
    "header": "Authorization: Bearer {}",
    "curl": "curl -H 'X-Api-Key: {}' https://example.org",
    "address": "postgresql://ana:{}@db.example.org:5432/sales",
    "query": "https://example.org/data.csv?access_token={}&rows=7",
    "option": "tool --api-key {} --rows 7",
    "option, equals": "tool --password={} --rows 7",
    "connection": "Server=tcp:db;User ID=ana;Password={};Encrypt=true",
    "azure": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core",
    "aws": "aws_secret_access_key = {}",
    "call": 'os.environ.setdefault("HUB_TOKEN", "{}")',
    "item": "headers['X-Auth-Token'] = '{}'",
    "annotated": 'password: str = "{}"',
    "error": "OperationalError: login failed (password='{}', user='ana')",
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_token_is_known_by_its_shape(kind):
    token = SHAPES[kind](kind)
    for text in ("{}", "the token {} is used", "x={};", "<td>{}</td>", '["{}"]', "a\n{}\nb", "(see {})."):
        masked = mask(text.format(token))
        assert masked == text.format(MASK), masked


@pytest.mark.parametrize("kind", SAYINGS)
def test_a_secret_is_known_by_the_name_before_it(kind):
    secret = random(kind, 24)
    text = SAYINGS[kind]
    masked = mask(text.format(secret))
    assert masked == text.format(MASK), masked
    assert mask(masked) == masked


def test_a_private_key_and_an_aws_pair_are_masked_whole():
    body = "\n".join(random(f"line {n}", 64) for n in range(12))
    for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "):
        key = f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"
        for written in (key, json.dumps(key), key.replace("\n", "\n+"), key[:500]):
            masked = mask(f"before {written} after")
            assert masked.startswith("before ") and MASK in masked
            assert not any(line[:40] in masked for line in body.splitlines()), masked
    pair = f"AKIA{random('a', 16, UPPER)},{random('b', 40)}"
    assert mask(pair) == f"{MASK},{MASK}"


def test_what_the_environment_holds_is_masked_in_every_form(monkeypatch):
    monkeypatch.setenv("WAREHOUSE_PASSWORD", 'pä"ss/wört 42')
    forms = ['pä"ss/wört 42', json.dumps('pä"ss/wört 42'), "p%C3%A4%22ss%2Fw%C3%B6rt%2042", repr('pä"ss/wört 42')]
    for text in forms:
        assert MASK in mask(f"connected with {text}!") and "ört 42" not in mask(text)
    for harmless in ("/run/secrets/warehouse", "1234567890", "productive", "short1"):
        monkeypatch.setenv("WAREHOUSE_PASSWORD", harmless)
        assert mask(f"it was {harmless} today") == f"it was {harmless} today"
    monkeypatch.setenv("WAREHOUSE_NAME", "warehouse-42!")
    assert mask("in warehouse-42!") == "in warehouse-42!"


HARMLESS = [
    hashlib.sha256(b"x").hexdigest(),
    "m-" + hashlib.md5(b"x", usedforsecurity=False).hexdigest(),
    "models:/m-" + hashlib.md5(b"y", usedforsecurity=False).hexdigest(),
    "sha256:" + hashlib.sha256(b"y").hexdigest(),
    "9b2d1c1e-3f5a-4a57-9a43-0c6a1b0d2f3e",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "token: the first word",
    "Token: 5 words, then the next",
    "password policy: at least twelve characters",
    "the password is asked for, and the token counted",
    "token_count = 5",
    "max_tokens=4096, token_type='bearer'",
    "password = getpass()",
    "password = getpass.getpass('Password: ')",
    "api_key = os.environ['API_KEY']",
    "api_key=os.getenv('API_KEY', '')",
    "token=self.token, secret=config.secret",
    "def login(user: str, password: str, token: str | None = None) -> None:",
    "password: SecretStr = Field(...)",
    'columns = ["user", "password", "token", "age"]',
    '{"token": "covid", "count": 7}',
    '{"password": 0.93, "secret": null, "token": true}',
    "postgresql://{user}:{password}@{host}/db",
    "postgresql://$USER:$PASSWORD@host/db",
    "Authorization: Bearer <token>",
    "password: ********",
    "API_KEY=your-api-key-here",
    "export API_KEY=$OTHER",
    "tiktoken==0.7.0\ntokenizers==0.19.1\nkeyring==25.2.1",
    "pip install sk-learn sk-video",
    "https://example.org:8080/path@2x?keyword=token&page=7",
    "git@github.com:team/repo.git",
    "file:///C:/Users/ana/token.txt",
    "author = 'Ana Lopez 1999', keyboard = 'qwerty123456'",
    "tokens: [1, 2, 3]; tokenizer = Tokenizer(vocabulary=30000)",
    "foreign_key = 'orders.customer_id1'",
    "auth: none",
    "PWD=/home/ana/projects/one2three",
    "secrets.token_hex(16)",
    "the secret: always split by time",
    "credentials: include",
    "x" * 5000,
    '"token": "the 3rd word of it"',
    "what begins with -----BEGIN PRIVATE KEY----- is a key",
    "eyJ is how a token begins",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa\n-----END CERTIFICATE-----",
]


@pytest.mark.parametrize("text", HARMLESS, ids=lambda t: t[:30])
def test_what_is_no_secret_stays(text):
    assert mask(text) == text
    assert mask_values({"note": text, text: [text]}) == {"note": text, text: [text]}


def test_pictures_stay_and_large_texts_take_no_long_time():
    picture = base64.b64encode(b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(115_000))).decode()
    table = "".join(f"<tr><td>token {n}</td><td>password {n}: the key</td></tr>\n" for n in range(20_000))
    with ends_in_cpu_seconds(600):  # about 5 s on two old cores; an expression that backtracks would take hours
        for text in (picture, f'<img src="data:image/png;base64,{picture}">'):
            assert mask(text) == text
        assert mask(table) == table


@pytest.mark.parametrize(
    "piece",
    ["-----BEGIN PRIVATE KEY-----\n", "password=", "token: ", "://a:", "eyJ.", "sk-", '\\"', "secret = '", "xox"],
)
def test_no_text_makes_it_slow(piece):
    text = piece * (200_000 // len(piece))
    with ends_in_cpu_seconds(600):  # a second or less; hours, if it tried every way
        mask(text)


def test_nothing_of_ours_is_taken_for_a_secret(lived_in):
    own = [p for folder in ("nbs", "templates", "mlnb", "docs") for p in (ROOT / folder).rglob("*")]
    made = [p for p in lived_in.root.rglob("*") if p.suffix not in (".db", ".png", ".skops")]
    texts = (".py", ".ipynb", ".md", ".json", ".html", ".txt", ".patch", ".yaml", ".j2", ".css", ".js", ".toml", "")
    alarms = {}
    for path in (*own, *made):
        if path.is_file() and path.suffix in texts and "secrets" not in path.name:
            text = path.read_text("utf-8", "replace")
            changed = [old for old, new in zip(text.splitlines(), mask(text).splitlines(), strict=False) if old != new]
            if changed:
                alarms[path.name] = changed
    examples = ("http://me:secret@127.0.0.1", "hunter2")
    assert not {k: v for k, v in alarms.items() if not all(any(e in line for e in examples) for line in v)}, alarms
    with contextlib.closing(sqlite3.connect(lived_in.root / ".mlnb" / "mlflow.db")) as store:
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in store.execute(f"SELECT * FROM {name}"):
                assert list(row) == [mask_values(value) for value in row]


# No byte of a secret in what is written: each is planted where a user may leave one, through the surface that takes it.

WORKED = """
import os, sys
import pandas as pd
from mlnb import drift, hand_over
print("connecting with", os.environ["WAREHOUSE_PASSWORD"])
print({output!r})
print({stderr!r}, file=sys.stderr)
os.system("echo {child} >&2")
db_password = "{source}"
report = drift(pd.DataFrame({{"a": range(500)}}), pd.DataFrame({{"a": range(500)}}))
pd.DataFrame({{"shown {shown}": [1]}})
"""


class Planted:
    """Hands out secrets, one for each place, and finds them again in what was written."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def __call__(self, place: str, shape: str = "github") -> str:
        self.secrets[place] = SHAPES[shape](place) if shape in SHAPES else random(place, 24)
        return self.secrets[place]

    def core(self, place: str) -> bytes:
        """The middle of a secret: also a piece of it would be too much."""
        secret = self.secrets[place]
        return secret[len(secret) // 2 - 4 :][:12].encode()

    def found(self, *roots: Path) -> dict[str, list[str]]:
        """Where each secret stands, in names of files, in bytes, inside archives, tables and encoded texts."""
        there: dict[str, list[str]] = {}
        for root in roots:
            for path in sorted(root.rglob("*")):
                blobs = [str(path.relative_to(root)).encode(), *(layers(path) if path.is_file() else ())]
                for place in self.secrets:
                    if any(self.core(place) in blob for blob in blobs):
                        there.setdefault(place, []).append(str(path.relative_to(root)))
        return there


def layers(path: Path):
    """The bytes of a file, and whatever they pack."""
    data = path.read_bytes()
    yield data
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield from (name.encode(), packed.read(name))
    if data[:4] == b"\x89PNG":
        for chunk in re.findall(
            rb"(?:zTXt|iTXt)[^\0]*\0(?:\x01\0[^\0]*\0[^\0]*\0|\0)(x[\x01\x9c\xda].+)", data, re.DOTALL
        ):
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj().decompress(chunk)
    if data[:15] == b"SQLite format 3":
        with contextlib.closing(sqlite3.connect(path)) as store:
            yield "\n".join(store.iterdump()).encode("utf-8", "replace")
    for run in re.findall(rb"[A-Za-z0-9+/]{40,}", data):
        yield base64.b64decode(run[: len(run) // 4 * 4])


@contextlib.contextmanager
def unmasked(monkeypatch):
    """Switch masking off, to show what would be written without it."""
    with monkeypatch.context() as patched:
        patched.setattr(secrets, "STEPS", ())
        patched.setattr(secrets, "_is_secret", lambda *_, **__: False)
        yield


def template(path: Path, plant: Planted) -> Path:
    import nbformat.v4 as v4

    cell = WORKED.format(
        output=f"printed {plant('output', 'openai, project')}",
        stderr=f"warned {plant('stderr', 'gitlab')}",
        child=plant("child process", "npm"),
        source=plant("source", "plain"),
        shown=plant("shown column", "hugging face"),
    )
    cells = [
        v4.new_markdown_cell(f"# Step\n\nSee https://ana:{plant('markdown', 'plain')}@example.org/wiki"),
        v4.new_code_cell('api_key: str = ""\nbreaks: str = ""', metadata={"tags": ["parameters"]}),
        v4.new_code_cell(cell, metadata={"note": plant("cell metadata", "stripe")}),
        v4.new_code_cell("if breaks:\n    raise ValueError('login failed: ' + breaks)"),
        v4.new_code_cell("hand_over(report)"),
    ]
    metadata = {"by": {"token": plant("notebook metadata", "plain")}}
    path.write_text(json.dumps(v4.new_notebook(cells=cells, metadata=metadata)))
    return path


def commit_around(root: Path, plant: Planted) -> None:
    """Make a repository around the workspace, with a change that was not committed."""
    env = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    env["GIT_COMMITTER_EMAIL"] = "a@b"
    for argv in (["init", "-q"], ["add", "code.py"], ["commit", "-qm", "first"]):
        if argv[0] == "add":
            (root / "code.py").write_text("rows = 5\n")
        subprocess.run(["git", *argv], cwd=root, env=env, check=True)
    (root / "code.py").write_text(f'rows = 5\nservice_token = "{plant("git diff", "plain")}"\n')
    (root / f"{plant('untracked file', 'gitlab')}.txt").write_text("")


def use_the_library(plant: Planted, aside: Path, models: bool = True) -> None:
    """Everything a program can hand to `track`, a report and a model."""
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    column, category = plant("column"), plant("category", "stripe")
    reference = pd.DataFrame({"age": np.arange(600) % 80, "kind": ["a", "b", "c"] * 200, column: np.arange(600)})
    current = reference.assign(kind=[category, "b", "a"] * 200, **{column: reference[column] + 500})
    params = {"store": f"postgresql://ana:{plant('address', 'plain')}@db/x", plant("parameter name", "npm"): 1}
    params |= {"value": plant("parameter", "openai"), "db_password": plant("named parameter", "plain")}
    tags = {"note": plant("tag", "slack"), "api_key": plant("named tag", "plain")}
    with mlnb.track(f"run {plant('run name', 'google')}", params=params, tags=tags) as run:
        run.metric(plant("metric name", "hugging face"), 1.0)
        run.data(
            reference,
            name=plant("data name", "gitlab"),
            source=f"https://example.org/x.csv?token={plant('data source', 'plain')}",
            target=column,
        )
        figure = Figure()
        figure.add_subplot().plot([1, 2])
        run.figure(figure, f"A line, see {plant('alt text', 'jwt')}", name=plant("figure name", "npm"))
        run.file(f"password: {plant('text file', 'plain')}\n", f"notes/{plant('artifact name', 'npm')}.txt")
        run.source(f'token = "{plant("cell source", "plain")}"')
        run.log(mlnb.drift(reference, current))
        result = Result(
            code="TEAM-1",
            title=plant("report title", "sendgrid"),
            status=Status.WARN,
            advice=f"Log in with {plant('advice', 'anthropic')}",
            evidence={"client_secret": plant("evidence", "plain"), "seen": [plant("evidence, deep", "aws")]},
        )
        run.log(Report(kind="team", title="Team", results=(result,), meta={"by": plant("meta", "github, server")}))
        if not models:
            return
        refused = LogisticRegression(class_weight={plant("model parameter"): 1.0})
        with pytest.raises(RefusedError, match="password, key or token"):
            run.model(refused)
        with pytest.raises(RefusedError, match="input_example"):
            run.model(DummyClassifier().fit(reference[["kind"]], reference["age"] > 40), example=current[["kind"]])
    with pytest.raises(RuntimeError), mlnb.track("fails"):
        raise RuntimeError(f"no answer from mysql://ana:{plant('exception', 'plain')}@db")
    mlnb.drift(reference, current).save(aside / "drift.html")


def use_the_shell(plant: Planted, monkeypatch) -> None:
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shell.run_line_magic("load_ext", "mlnb")
    cell = f"%%track shell --params\npassphrase = '{plant('tracked cell', 'plain')}'\nrows = 5\n"
    assert shell.run_cell(cell).success
    failing = f"%%track shell\nraise ValueError('with {plant('tracked exception', 'stripe')}')\n"
    assert not shell.run_cell(failing).success


def cli(*argv: str) -> int:
    from mlnb.cli import main

    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def use_the_steps(plant: Planted, aside: Path) -> None:
    """A template of one's own, once to its end and once to an error, with secrets in parameters and all around."""
    mine = template(aside / "mine.ipynb", plant)
    done = mlnb.run(mine, params={"api_key": plant("step parameter", "plain")})
    assert done.error is None and done.ok, done
    broken = mlnb.run(mine, params={"breaks": plant("step exception", "openai, project")}, name="broken")
    assert broken.error is not None


def use_the_commands(plant: Planted, aside: Path, monkeypatch) -> None:
    """Tables under secret names, and reports that commands write."""
    import pandas as pd

    folder = aside.parent / "data"
    folder.mkdir()
    tables = [folder / f"{plant('data file', 'github, fine')}.csv", folder / "now.csv"]
    pd.DataFrame({plant("drift column", "jwt"): range(300), "b": range(300)}).to_csv(tables[0], index=False)
    pd.read_csv(tables[0]).assign(b=7).to_csv(tables[1], index=False)
    for suffix in ("json", "html", "md", "txt"):
        cli("drift", *map(str, tables), "--out", str(aside / f"out.{suffix}"))
    with monkeypatch.context() as patched:
        patched.setenv("MLNB_TRACKING__URI", f"postgresql://ana:{plant('store address', 'plain')}@127.0.0.1:9/runs")
        cli("doctor", "--out", str(aside / "doctor.json"))
    with monkeypatch.context() as patched:
        patched.setenv("MLNB_TRACKING__EXPERIMENT", plant("setting", "openai"))
        with mlnb.track("elsewhere"):
            pass


def use_the_ledger(plant: Planted, aside: Path) -> None:
    """A person's notes and words about a model."""
    from mlnb.core.checklist import checklists, read_checklist
    from mlnb.core.workspace import current
    from mlnb.governance.fields import FIELDS
    from mlnb.governance.signing import fill_field, sign
    from mlnb.tracking.snapshot import snapshot

    name, path = next(iter(checklists(current()).items()))
    item = read_checklist(path).items[0].key
    model = snapshot().models[0]
    sign(model, name, item, answer="no", name="Ana", role="lead", note=f"key is {plant('note', 'stripe')}")
    sign(model, name, item, answer="yes", name=plant("signer", "gitlab"), role=plant("role", "npm"))
    field = next(f.key for f in FIELDS if f.source == "person")
    fill_field(model, field, f"db_password: {plant('card field', 'plain')}", name="Ana", role="lead")


def show_it_all(aside: Path) -> None:
    """Pages, cards, checklists and notebooks made of that record, and of the template with its secrets."""
    mlnb.publish(to=str(aside / "pages"))
    for suffix in ("html", "md", "json"):
        cli("card", "--out", str(aside / f"card.{suffix}"))
        cli("checklist", "deployment", "--out", str(aside / f"checklist.{suffix}"))
    assert cli("export", "broken", "--to", str(aside / "broken.html")) == 0
    assert cli("export", str(aside / "mine.ipynb"), "--to", str(aside / "template.html")) == 0
    assert cli("audit", "--out", str(aside / "audit.json")) == 0


@pytest.fixture(scope="module")
def written(lived_in, tmp_path_factory):
    """A workspace inside a repository, in which each secret was left somewhere, and what was written beside it."""
    top = tmp_path_factory.mktemp("planted")
    plant, root, aside = Planted(), top / "repo", top / "aside"
    root.mkdir()
    aside.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        workspace = copy_lived(lived_in, root / "ws")
        patched.setenv("MLNB_WORKSPACE", str(workspace.root))
        patched.setenv("WAREHOUSE_PASSWORD", plant("environment", "plain") + "/+ 7")
        patched.setattr(sys, "argv", ["tool", "--password", plant("command line", "plain"), "train"])
        patched.chdir(workspace.root)
        commit_around(root, plant)
        use_the_library(plant, aside)
        use_the_shell(plant, patched)
        use_the_steps(plant, aside)
        use_the_commands(plant, aside, patched)
        use_the_ledger(plant, aside)
        show_it_all(aside)
        (aside / "mine.ipynb").unlink()  # the template itself is the user's
    return plant, workspace.root, aside


def test_no_byte_of_a_secret_is_written(written):
    plant, root, aside = written
    assert len(plant.secrets) >= 40
    assert plant.found(root, aside) == {}


def test_what_is_written_says_that_something_was_masked(written):
    _, root, aside = written
    texts = {p: p.read_text("utf-8", "replace") for folder in (root, aside) for p in folder.rglob("*") if p.is_file()}
    masked = {p.name for p, text in texts.items() if MASK in text}
    assert {"cell.py", "diff.patch", "traceback.txt", "notebook.ipynb", "step.log"} <= masked, masked
    assert {"drift.html", "out.json", "out.html", "out.md", "out.txt", "ledger.jsonl"} <= masked, masked


def test_a_masked_report_is_the_one_that_its_digest_stands_for(written):
    _, root, _ = written
    checked = 0
    with contextlib.closing(sqlite3.connect(root / ".mlnb" / "mlflow.db")) as store:
        query = "SELECT run_uuid, key, value FROM tags WHERE key LIKE 'mlnb.sha256.report/%'"
        for run, key, value in store.execute(query).fetchall():
            [path] = root.rglob(f"{run}/artifacts/{key.removeprefix('mlnb.sha256.')}")
            assert hashlib.sha256(path.read_bytes()).hexdigest() == value
            report = Report.from_json(path.read_bytes())
            assert report.masked() is report
            checked += MASK in path.read_text()
    assert checked >= 2


def test_without_masking_they_would_be_found(lived_in, tmp_path, monkeypatch):
    workspace, plant = copy_lived(lived_in, tmp_path / "ws"), Planted()
    monkeypatch.setenv("MLNB_WORKSPACE", str(workspace.root))
    for name in [name for name, module in sys.modules.items() if name.startswith("mlnb") and hasattr(module, "mask")]:
        assert sys.modules[name].mask is mask, name  # so that switching off reaches all of them
    with unmasked(monkeypatch):
        use_the_library(plant, tmp_path, models=False)
        use_the_ledger(plant, tmp_path)
    found = plant.found(workspace.root)
    assert set(found) >= set(plant.secrets) - {"figure name"}, set(plant.secrets) - set(found)


def test_the_notebook_of_a_step_that_is_killed_is_masked_too(tmp_path):
    from nbformat import v4

    from mlnb.pipelines.record import Record

    plant = Planted()
    nb = v4.new_notebook(cells=[v4.new_code_cell(f"password = '{plant('source', 'plain')}'")])
    record = Record(nb, lambda event: None, tmp_path / "partial.ipynb", save_every=0)
    record.begin()
    record.cell_begins(0)
    nb.cells[0].outputs = [v4.new_output("stream", text=f"token {plant('printed')}\n")]
    record.cell_ends(0, failed=False)
    assert "password" in nb.cells[0].source and plant.secrets["source"] in nb.cells[0].source  # it is still to be run
    assert MASK in (tmp_path / "partial.ipynb").read_text() and plant.found(tmp_path) == {}
