"""No page says a word that is not in the catalogue; and a campaign may speak any language, either way round."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from imitable.campaign import open_folder
from imitable.commands.preview import preview_app
from imitable.game.web import LARGEST_BODY, web_app
from imitable.store import open_store
from imitable.testing import invented_campaign
from imitable_templates.texts import texts
from playing import Table

SITE = "https://worker.example"
PLATFORMS = f'[platform.prolific]\n[platform.mturk]\nworker_sites = ["{SITE}"]\n'
PAY = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\n'
PROLIFIC = {"PROLIFIC_PID": "p1", "STUDY_ID": "s1", "SESSION_ID": "x1"}
HIT = {"assignmentId": "a1", "hitId": "h1", "workerId": "w1", "turkSubmitTo": SITE}

Speak = Callable[..., Table]


@pytest.fixture
def speak(tmp_path: Path) -> Iterator[Speak]:
    """Set a table whose pages speak: `speak(catalogue, "de", **settings of the campaign)`."""
    tables: list[Table] = []

    def build(catalogue: str, language: str, **settings: Any) -> Table:
        path = tmp_path / f"campaign{len(tables)}"
        made = invented_campaign(path, **settings)
        toml = (path / "campaign.toml").read_text(encoding="utf-8")
        study = f'[study]\ncontact = "⟦lab@example.org⟧"\nlanguage = "{language}"\ntexts = "own.toml"\n'
        (path / "campaign.toml").write_text(toml.replace("[study]\n", study), encoding="utf-8")
        (path / "own.toml").write_text(catalogue, encoding="utf-8")
        folder = open_folder(made.path)
        tables.append(Table(folder, open_store(folder), 3))
        return tables[-1]

    yield build
    for table in tables:
        table.store.close()


def wrapped() -> str:
    """The catalogue that ships, every text of it in double brackets."""
    pages: dict[str, list[str]] = {}
    for key, text in texts().words.items():
        page, _, name = key.partition(".")
        forms = {"": text} if isinstance(text, str) else dict(text)
        said = {form: json.dumps(f"⟦{one}⟧" if page != "number" else one) for form, one in forms.items()}
        value = said[""] if "" in said else "{" + ", ".join(f"{form} = {one}" for form, one in said.items()) + "}"
        pages.setdefault(page, []).append(f"{name} = {value}")
    return "\n".join(f"[{page}]\n" + "\n".join(lines) for page, lines in pages.items())


class Bare(HTMLParser):
    """Finds the words of a page that stand in no brackets. Texts of the corpus are marked translate="no"."""

    SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-announce", "data-texts")
    VOID = ("meta", "link", "input", "br", "rect", "line", "path", "circle")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.depth = 0
        self.quiet: list[bool] = []
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in self.SPOKEN:
            spoken = given.get(name) or ""
            said = list(json.loads(spoken).values()) if spoken.startswith("{") else [spoken]
            self.found += [f"{name}={one}" for one in said if bare(one)]
        if tag not in self.VOID:
            unheard = given.get("translate") == "no" or (bool(self.quiet) and self.quiet[-1])
            self.quiet.append(unheard and given.get("class") != "unseen")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self.quiet.pop()

    def handle_data(self, data: str) -> None:
        if self.quiet and self.quiet[-1]:
            return
        self.found += [data] if bare(data.replace("invented", ""), self.depth) else []
        self.depth += data.count("⟦") - data.count("⟧")


def bare(text: str, depth: int = 0) -> bool:
    """Whether a letter stands outside all brackets."""
    for letter in text:
        depth += {"⟦": 1, "⟧": -1}.get(letter, 0)
        if depth == 0 and letter.isalpha():
            return True
    return False


SAID = ("notice", "error", "bonus", "pay", "coaching", "title", "message", "consent", "contact")


def sentences(view: dict[str, Any]) -> list[str]:
    """What a view says in words of ours."""
    return [view[name] for name in SAID if view.get(name)]


class Reader:
    """Reads every page twice, as HTML and as JSON, and keeps what stands in no brackets."""

    def __init__(self, here: Table) -> None:
        self.here = here
        self.http = TestClient(web_app(here.game), raise_server_exceptions=False)
        self.bare: list[tuple[str, list[str]]] = []
        self.seen: set[str] = set()
        self.token = ""

    def read(self, method: str, path: str, **data: Any) -> dict[str, Any]:
        """HTML first and JSON after it: a guess is then a repeated one."""
        page = self.http.request(method, path, **data).text
        view: dict[str, Any] = self.http.request(method, path, headers={"Accept": "application/json"}, **data).json()
        self.token = view["token"] or self.token
        found = Bare(page).found + [text for text in sentences(view) if bare(text)]
        if found:
            self.bare.append((f"{method} {path}", found))
        self.seen.add(view["kind"] + ("-stopped" if view.get("stopped") else ""))
        return view

    def post(self, path: str, **fields: str) -> dict[str, Any]:
        return self.read("POST", path, data={"token": self.token, **fields})

    def play(self) -> None:
        """Play a sitting to its end, and do most things wrong first."""
        view = self.post("/play")
        while view["kind"] != "done":
            if view["kind"] == "questions":
                self.post("/answers", episode_id=view["episode_id"], fun="9")
                self.post("/answers", episode_id=view["episode_id"], fun="3", interest="3")
            else:
                form, name = ("/tutorial", "step") if view["tutorial"] else ("/guess", "round_id")
                self.post(form, **{name: view["round_id"], "guess": "x"})
                self.post(form, **{name: view["round_id"], "guess": "5"})
            view = self.post("/play")


@pytest.mark.parametrize("polarity", ["pos", "both"])
def test_every_word_of_every_page_comes_from_the_catalogue(speak: Speak, polarity: str) -> None:
    here = speak(
        wrapped(),
        "de",
        polarity=polarity,
        consent="⟦Consent.⟧\n\n⟦More.⟧",
        levels=("examples", "text"),
        episode="checks = [2]\nrepeats = [4]",
        more=PLATFORMS + PAY,
    )
    reader = Reader(here)
    links = [f"/j/{link.code}" for link in here.links]
    reader.read("GET", links[0])
    reader.post("/start", code=here.links[0].code)  # without consent
    reader.post("/start", code=here.links[0].code, agree="yes")
    reader.read("GET", links[0])
    reader.play()
    reader.read("GET", links[0])
    reader.post("/start", code=here.links[1].code, agree="yes")
    reader.post("/stop")
    for path, query in (("/prolific", PROLIFIC), ("/mturk", HIT)):
        landing = reader.read("GET", path, params=query)
        reader.post("/start", code=landing["code"], agree="yes")
        reader.post("/stop")
    for path in ("/", "/nowhere", "/j/x", "/prolific", "/mturk", "/mturk?assignmentId=a", "/mturk?workerId=w"):
        reader.read("GET", path)
    reader.read("GET", "/mturk", params=HIT | {"turkSubmitTo": "https://elsewhere.example"})
    reader.post("/guess", round_id="r_none", guess="5")
    reader.post("/answers", explanation="x" * LARGEST_BODY)
    reader.read("POST", "/play", content=b"\xff")
    reader.read("POST", "/play", data={"token": "forged"})
    assert reader.bare == []
    assert reader.seen == {"landing", "round", "reveal", "questions", "done", "done-stopped", "problem"}


def test_what_is_said_when_we_are_at_fault_or_someone_is_too_fast_comes_from_it_too(
    speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = speak(wrapped(), "de", more="[serve.limits]\nsession_per_second = 0.001\n")
    reader = Reader(here)
    reader.post("/start", code=here.links[0].code, agree="yes")
    for _ in range(1200):
        reader.http.post("/play", data={"token": "t"})
    assert reader.post("/play", token="t")["title"] == "⟦A moment, please⟧"
    monkeypatch.setattr(here.game, "landing", lambda _code: 1 / 0)
    assert reader.read("GET", "/j/x")["title"] == "⟦Please try again in a minute⟧"
    assert reader.bare == []


def test_a_word_outside_the_catalogue_would_be_found() -> None:
    page = '<p title="⟦a⟧">⟦b <b>c</b> d⟧ 5.0</p><p translate="no">e <span class="unseen">⟦f⟧</span></p>'
    assert Bare(page).found == []
    assert Bare(page.replace("5.0", "5 points")).found == [" d⟧ 5 points"]
    assert Bare(page.replace("⟦f⟧", "f")).found == ["f"]
    assert Bare(page.replace('"⟦a⟧"', '"a"')).found == ["title=a"]


def test_every_refusal_of_the_game_names_its_words_and_every_text_is_used() -> None:
    words, odd, sources = texts().words, [], ""
    for path in [
        *Path(str(files("imitable.game"))).rglob("*.py"),
        *Path(str(files("imitable_templates.web"))).glob("*.j2"),
        *Path(str(files("imitable_templates.label_studio"))).glob("*.j2"),
        *Path(str(files("imitable_templates.mturk"))).glob("*.j2"),
    ]:
        source = path.read_text(encoding="utf-8")
        sources += source
        if path.suffix != ".py":
            continue
        for call in ast.walk(ast.parse(source)):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) in ("GameError", "TooSlow")):
                continue
            [key] = call.args
            if isinstance(key, ast.Name):  # a key that was passed on
                continue
            said = words.get(ast.literal_eval(key))
            if said is None or set(re.findall(r"\{(\w+)\}", str(said))) != {word.arg for word in call.keywords}:
                odd.append(f"{path.name}:{call.lineno}: {ast.unparse(call)}")
    assert odd == []
    named = [key for key in words if f'"{key}"' in sources or f'"{re.sub("[0-9]+$", "{", key)}' in sources]
    said_elsewhere = {key for key in words if key.startswith("script.")}
    assert set(words) - set(named) == said_elsewhere


GERMAN = """
[number]
decimal = ","
[pay]
amount = "{amount} {currency}"
[round]
question = "Wie stark reagiert das Neuron bei {piece}?"
[text]
quoted = "„{piece}“"
[progress]
points = "**{points}** Punkte"
[refused]
no_number = "Bitte eine Zahl von {low} bis {high}, zum Beispiel 6,5."
[checks]
check_1 = "Wer das liest, antwortet hier| drei|."
check_2 = "Wer das liest, antwortet hier| neun|."
check_3 = "Wer das liest, antwortet hier| sieben|."
check_4 = "Wer das liest, antwortet hier| zwei|."
check_5 = "Wer das liest, antwortet hier| acht|."
[warm_up]
round_1 = "Mia war [hungrig=3.4]; es gab| [Brot=8.6]| und ein Lächeln."
coaching_1 = "'Brot' kann man essen."
"""


def test_a_german_page_is_german_down_to_its_numbers(speak: Speak) -> None:
    here = speak(GERMAN, "de", practice=1, held_out=1, episodes=1, episode="checks = [1]", more=PAY)
    http = TestClient(web_app(here.game))
    landing = http.get(f"/j/{here.links[0].code}").text
    assert '<html lang="de" dir="ltr">' in landing
    assert "3,00 USD for taking part" in landing
    token = here.game.start(here.links[0].code, agreed=True)
    page = http.post("/play", data={"token": token}).text
    assert '„<bdi class="named" translate="no">Brot</bdi>“' in page
    assert "<b>0,0</b> Punkte" in page
    page = http.post("/tutorial", data={"token": token, "step": "1", "guess": "zwölf"}).text
    assert "Bitte eine Zahl von 0 bis 10, zum Beispiel 6,5." in page
    page = http.post("/tutorial", data={"token": token, "step": "1", "guess": "6,5"}).text
    assert '<b class="n">6,5</b>' in page
    assert '<b class="n">8,6</b>' in page
    assert 'data-v="3,4">hungrig</span>;' in page
    assert "&#39;Brot&#39; kann man essen." in page
    asked = here.game.view(here.sit())
    assert getattr(asked, "stimulus", None) in [check.stimulus for check in here.game.content.checks]
    assert "Wer das liest, antwortet hier" in http.post("/play", data={"token": token}).text


ARABIC = """
[page]
stop = "توقّف هنا"
[landing]
minutes = {one = "دقيقة واحدة", two = "دقيقتان", few = "{count} دقائق", many = "{count} دقيقة", other = "{count} دقيقة"}
start = "ابدأ"
[round]
question = "ما قوّة تفاعل العصبون عند {piece}؟"
"""


def test_an_arabic_page_runs_from_right_to_left_and_its_scales_do_not(speak: Speak) -> None:
    here = speak(ARABIC, "ar", polarity="both", practice=2, held_out=1, episodes=1)
    http = TestClient(web_app(here.game))
    landing = http.get(f"/j/{here.links[0].code}").text
    assert '<html lang="ar" dir="rtl">' in landing
    assert "15 دقيقة" in landing
    token = here.sit()
    page = http.post("/play", data={"token": token}).text
    assert "ما قوّة تفاعل العصبون عند “<bdi" in page
    assert '<div dir="ltr" class="scale both">' in page
    assert '<span class="unseen" dir="rtl"> (marked: </span>' in page
    view = here.game.view(token)
    page = http.post("/guess", data={"token": token, "round_id": getattr(view, "round_id", ""), "guess": "-6.5"}).text
    assert '<b class="n">\u200e−6.5</b>' in page  # with a mark, or the minus would jump behind the number
    assert '<p class="earned"><b>\u200e+' in page
    assert "<summary>توقّف هنا</summary>" in page


def test_a_preview_names_what_is_still_english_and_offers_the_catalogue(speak: Speak) -> None:
    http = TestClient(preview_app(speak(GERMAN, "de").game))
    listed = http.get("/").text
    left = len(texts().words) - GERMAN.count(" = ")
    assert f"<summary>{left} of them are still English</summary>" in listed
    assert "landing.start" in listed
    assert "round.question" not in listed
    assert '<html lang="de" dir="ltr">' in listed
    taken = http.get("/en.toml")
    assert "en.toml" in taken.headers["content-disposition"]
    assert taken.text == (Path(str(files("imitable_templates.web"))) / "texts" / "en.toml").read_text(encoding="utf-8")
    assert "still English" not in TestClient(preview_app(speak("", "en").game)).get("/").text
