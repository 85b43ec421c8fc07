"""The words of the pages: the catalogue that ships, a campaign's own over it, and what is wrong with those in words."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from building import campaign, edit
from imitable.campaign import open_folder
from imitable.errors import CampaignError
from imitable_templates.plurals import plural_rule
from imitable_templates.texts import SHIPPED, direction_of, texts

GERMAN = """
[landing]
heading = "Willkommen"
neurons = {one = "ein Neuron", other = "{count} Neuronen"}
guess = "**Rate**, wie stark das Neuron reagiert, von 0 bis 10."
[reveal]
verdict = "Es war {truth}, geraten hast du {guess}: {grade}."
"""


def in_german(tmp_path: Path, words: str | bytes = GERMAN, *, language: str = "de") -> Path:
    """A campaign's folder with texts of its own."""
    directory = campaign(tmp_path / "campaign", texts=None)
    edit(directory, "[model]", f'[study]\nlanguage = "{language}"\ntexts = "de.toml"\n[model]')
    (directory / "de.toml").write_bytes(words if isinstance(words, bytes) else words.encode())
    return directory


def test_a_campaigns_words_stand_over_english_which_stands_in_for_the_rest(tmp_path: Path) -> None:
    words = open_folder(in_german(tmp_path)).texts()
    assert (words.language, words.direction) == ("de", "ltr")
    assert words.plain("landing.heading") == "Willkommen"
    assert words.plain("landing.start") == "Start"
    assert [words.plain("landing.neurons", count=n) for n in (1, 4)] == ["ein Neuron", "4 Neuronen"]
    assert (
        words.plain("reveal.verdict", grade="Nah", guess="6,0", truth="6,8") == "Es war 6,8, geraten hast du 6,0: Nah."
    )
    assert "landing.start" in words.untranslated
    assert "landing.heading" not in words.untranslated


def test_an_english_campaign_may_change_a_few_words(tmp_path: Path) -> None:
    words = open_folder(in_german(tmp_path, '[landing]\nstart = "Go"\n', language="en-GB")).texts()
    assert (words.plain("landing.start"), words.untranslated) == ("Go", ())


def test_html_is_escaped_but_for_bold_words_and_fields_that_are_html(tmp_path: Path) -> None:
    own = "[progress]\npoints = '<i>{points}</i> & **\"so\"**'\n"
    words = open_folder(in_german(tmp_path, own)).texts()
    assert words.html("progress.points", points="<b>") == "<i>".replace("<", "&lt;").replace(">", "&gt;") + (
        "&lt;b&gt;&lt;/i&gt; &amp; <b>&quot;so&quot;</b>"
    )
    bold = words.html("progress.does_not_count")
    assert words.html("progress.points", points=bold).count(bold) == 1
    assert words.plain("progress.points", points="<b>") == '<i><b></i> & "so"'


MISTAKES = {
    "an unknown key": (
        '[landing]\nstrat = "Los"',
        r"key 'landing\.strat' is not a text .*did you mean 'landing\.start'",
    ),
    "an unknown page": ('[lnading]\nstart = "Los"', r"key 'lnading\.start' is not a text .*'landing\.start'"),
    "a text outside any page": ('start = "Los"', r"key 'start' is not a text"),
    "an unknown field": (
        '[landing]\nminutes = "{minutes} Minuten"',
        r"'landing\.minutes' has '\{minutes\}', which the",
    ),
    "a field too often": ('[progress]\npoints = "{points} {points}"', r"has '\{points\}', which .* not so often"),
    "a field too few": ('[progress]\npoints = "Punkte"', r"'progress\.points' lacks '\{points\}'"),
    "a field in one form only": (
        '[landing]\nrounds = {one = "{count} {x}", other = "{count}"}',
        r"'landing\.rounds' has '\{x\}'",
    ),
    "a brace alone": ('[landing]\nstart = "{Los"', r"'landing\.start' has '\{Los'"),
    "a word for a field's name": ('[progress]\npoints = "{Punkte}"', r"has '\{Punkte\}'"),
    "forms where there is no number": ('[landing]\nstart = {other = "Los"}', r"'landing\.start' has no forms"),
    "a form that is none": (
        '[landing]\nrounds = {singular = "x", other = "y"}',
        r"a form 'singular', which is none of",
    ),
    "no other form": ('[landing]\nrounds = {one = "eine"}', r"'landing\.rounds' lacks the form 'other'"),
    "a number for a text": ("[landing]\nstart = 5", r"'landing\.start' is no text \(it is 5\)"),
    "a list for a form": ("[landing]\nrounds = {other = [1]}", r"'landing\.rounds' has an empty text, or none"),
    "an empty text": ('[landing]\nstart = " "', r"'landing\.start' has an empty text"),
    "bold in a button": ('[landing]\nstart = "**Los**"', r"'landing\.start' prints something bold that cannot be"),
    "bold without an end": ('[landing]\nread = "**Lies"', r"'landing\.read' opens \*\* and does not close it"),
    "a warm-up text without its marked piece": ('[warm_up]\nround_2 = "Drachen"', r"'warm_up\.round_2' lacks '\|'"),
    "a word of another strength": ('[warm_up]\nround_1 = "[a=3.4] | [b=8.7]|"', r"'warm_up\.round_1' has '=8\.7\]'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_words_is_named_by_file_and_key_when_the_folder_is_read(mistake: str, tmp_path: Path) -> None:
    own, said = MISTAKES[mistake]
    directory = in_german(tmp_path, own)
    with pytest.raises(CampaignError, match=said) as caught:
        open_folder(directory)
    assert f"{directory / 'de.toml'}: key '" in str(caught.value)
    assert str(caught.value).endswith("Mend this and try again.")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (b"[landing\n", r"de\.toml cannot be read: .*line 1.*Mend that place"),
        ('[landing]\nstart = "Ü"'.encode("cp1252"), r"de\.toml cannot be read: .*utf-8"),
        (b'[landing]\nstart = "a"\nstart = "b"', r"de\.toml cannot be read: .*overwrite"),
    ],
)
def test_words_that_cannot_be_read_say_where(own: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=said):
        open_folder(in_german(tmp_path, own))


def test_a_file_of_words_that_is_missing_is_named(tmp_path: Path) -> None:
    directory = in_german(tmp_path)
    (directory / "de.toml").unlink()
    with pytest.raises(CampaignError, match=r"\[study\] language and texts: .*de\.toml cannot be read: "):
        open_folder(directory)


def test_a_language_in_which_nothing_ships_asks_for_a_file(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", texts=None)
    edit(directory, "[model]", '[study]\nlanguage = "de"\n[model]')
    with pytest.raises(CampaignError, match=r"no texts in 'de' ship with imitable; name a file"):
        open_folder(directory)


def test_a_language_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"table \[study\], key 'language': must be a language tag.*'Deutsch'"):
        open_folder(in_german(tmp_path, language="Deutsch"))


def test_all_mistakes_are_told_at_once_and_a_byte_order_mark_is_none(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"'page\.x' .*; key 'page\.y'"):
        open_folder(in_german(tmp_path, b'\xef\xbb\xbf[page]\nx = "x"\ny = "y"\n'))


def test_a_copy_of_what_ships_is_a_translation_without_gaps(tmp_path: Path) -> None:
    words = open_folder(in_german(tmp_path, (SHIPPED / "en.toml").read_bytes())).texts()
    assert words.untranslated == ()
    assert words.words == texts().words


def test_every_bold_word_that_ships_ends_and_every_text_says_something() -> None:
    forms = [form for text in texts().words.values() for form in ([text] if isinstance(text, str) else text.values())]
    assert all(form.strip() for form in forms)
    assert all(form.count("**") % 2 == 0 for form in forms)
    assert not [form for form in forms if re.search(r"<\w|&\w+;", form)]


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("en", "other one other other other other"),
        ("de-CH", "other one other other other other"),
        ("fr", "one one other other other other"),
        ("ja", "other other other other other other"),
        ("ru", "many one few many many one"),
        ("pl", "many one few many many many"),
        ("cs", "other one few other other other"),
        ("ar", "zero one two few many many"),
        ("he", "other one two other other other"),
        ("cy", "zero one two other other other"),
        ("lt", "other one few few other one"),
    ],
)
def test_numbers_take_the_form_that_a_language_gives_them(language: str, forms: str) -> None:
    rule = plural_rule(language)
    assert [rule(n) for n in (0, 1, 2, 5, 11, 21)] == forms.split()


def test_a_form_that_a_translation_lacks_is_the_other_one(tmp_path: Path) -> None:
    rounds = '{one = "{count} runda", few = "{count} rundy", other = "{count} rund"}'
    own = f'[landing]\nrounds = {rounds}\nminutes = "{{count}} min"'
    words = open_folder(in_german(tmp_path, own, language="pl")).texts()
    assert [words.plain("landing.rounds", count=n) for n in (1, 3, 5)] == ["1 runda", "3 rundy", "5 rund"]
    assert [words.plain("landing.minutes", count=n) for n in (1, 3)] == ["1 min", "3 min"]


@pytest.mark.parametrize(
    ("language", "way"),
    [("en", "ltr"), ("ar", "rtl"), ("he-IL", "rtl"), ("az-Arab", "rtl"), ("ur-Latn-PK", "ltr"), ("ja", "ltr")],
)
def test_a_page_runs_the_way_its_language_is_written(language: str, way: str) -> None:
    assert direction_of(language) == way


def test_what_the_docs_show_of_texts_can_be_read(tmp_path: Path) -> None:
    shown = (Path(__file__).parents[1] / "docs" / "translating.md").read_text(encoding="utf-8")
    blocks = [dedent(block) for block in re.findall(r"```toml\n(.*?)```", shown, re.DOTALL)]
    own = [block for block in blocks if not block.startswith("[study]")]
    assert len(own) == 2
    for number, block in enumerate(own):
        open_folder(in_german(tmp_path / str(number), block, language="pl"))
