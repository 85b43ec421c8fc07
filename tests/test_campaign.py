"""campaign.toml: every mistake is named by file, table and key; and what the folder derives from its key."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from pathlib import Path

import pytest

from building import KEY, campaign, edit
from imitable.campaign import Campaign, open_folder, read_config
from imitable.errors import CampaignError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return campaign(tmp_path / "campaign", texts=None)


MISTAKES: dict[str, tuple[str, str, str]] = {
    "an unknown key": ('name = "quick"', 'name = "quick"\nnmae = 1', r"table \[campaign\], unknown key 'nmae' \(see"),
    "an unknown table": ("[model]", "[modle]\n[model]", r"unknown table \[modle\] \(see 'imitable new'"),
    "an unknown key deep inside": (
        "units = [0, 1, 2, 3, 4, 5]",
        'select = { method = "random", cont = 3, count = 1 }',
        r"table \[targets\], unknown key '#1\.select\.cont'",
    ),
    "a word for a number": (
        "practice = 3",
        'practice = "many"',
        r"table \[episode\], key 'practice': .*integer.*'many'",
    ),
    "a value for a table": ("\n[campaign]", "serve = 5\n[campaign]", r"table \[serve\]: is a table of keys.*it is 5"),
    "a negative number": ("held_out = 2", "held_out = -2", r"table \[episode\], key 'held_out': .*-2"),
    "a missing key": ('path = "corpus.txt"', 'column = "text"', r"table \[corpus\], key 'path': is missing"),
    "an unknown polarity": ("sites =", 'polarity = "up"\nsites =', r"table \[targets\], key '#1\.polarity': .*'up'"),
    "an unknown kind": ("sites =", 'kind = "vibe"\nsites =', r"table \[targets\], key '#1.kind': .*'latent'.*'vibe'"),
    "a probe without a file": ("sites =", 'kind = "probe"\nsites =', r"kind 'probe' needs file = "),
    "a file for neurons": ("sites =", 'file = "x.safetensors"\nsites =', r"file is for directions, .* not for neurons"),
    "a file with no name for ids": (
        "sites =",
        'kind = "probe"\nfile = "a b.safetensors"\nsites =',
        r"'a b' cannot stand",
    ),
    "two ways to choose": ("sites =", 'select = {method = "random", count = 1}\nsites =', "needs either units"),
    "an unknown level": ("practice = 3", 'practice = 3\nlevels = ["telepathy"]', "level 'telepathy' is not one of"),
    "a level twice": ("practice = 3", 'practice = 3\nlevels = ["text", "text"]', "levels repeats itself"),
    "more rounds than items": ("practice = 3", "practice = 30", r"table \[episode\]: .*enlarge pool"),
    "a float for money": ("[episode]", "[pay]\nbase = 3.0\n[episode]", r"table \[pay\], key 'base': .*string.*3\.0"),
    "a fraction of a cent": (
        "[episode]",
        '[pay]\nbase = "3.001"\n[episode]',
        r"\[pay\], key 'base': must be an amount",
    ),
    "an odd name": ('name = "quick"', 'name = "../quick"', r"table \[campaign\], key 'name'"),
    "a document of nothing": ('"block:2"', '"block:0"', r"table \[corpus\], key 'document'"),
    "windows longer than the longest": ("max_tokens = 32", "max_tokens = 32\nmin_tokens = 40", r"min_tokens \(40\) is"),
    "a revision of a folder": (
        '"builtin:stories260K"',
        '"builtin:stories260K"\nrevision = "main"',
        "for models of the hub",
    ),
    "a site without its protocol": (
        "[episode]",
        '[platform.mturk]\nworker_sites = ["https://a.example", "b.example"]\n[episode]',
        r"table \[platform\], key 'mturk\.worker_sites\.#2': must be a web address .* \(it is 'b\.example'\)",
    ),
    "one site where a list stands": (
        "[episode]",
        '[platform.mturk]\nworker_sites = "https://a.example"\n[episode]',
        r"key 'mturk\.worker_sites': must be a valid list \(it is 'https://a\.example'\)",
    ),
    "values that nothing is compared with": (
        "[episode]",
        '[[platform.mturk.qualifications]]\ntype = "3ABC"\nvalues = [100]\n[episode]',
        r"table \[platform\], key 'mturk\.qualifications\.#1': Exists \(the default\) and DoesNotExist take no values",
    ),
    "a comparison with nothing": (
        "[episode]",
        '[[platform.mturk.qualifications]]\ntype = "country"\ncomparator = "In"\n[episode]',
        r"key 'mturk\.qualifications\.#1': .* every other comparator needs values or countries",
    ),
    "a code with a space": (
        "[episode]",
        '[platform.prolific]\ncompletion_code = "C 1"\n[episode]',
        r"key 'prolific\.completion_code': must be 4 to 32 letters and digits \(it is 'C 1'\)",
    ),
    "a Label Studio without its protocol": (
        "[episode]",
        '[platform.label_studio]\nurl = "localhost:8080"\n[episode]',
        r"key 'label_studio\.url': must be a web address",
    ),
    "a name on two lines": ('"builtin:stories260K"', '"builtin:stories260K"\nname = "a\\nb"', r"\[model\], key 'name'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_by_file_table_and_key(mistake: str, directory: Path) -> None:
    old, new, said = MISTAKES[mistake]
    edit(directory, old, new)
    with pytest.raises(CampaignError, match=said) as caught:
        open_folder(directory)
    assert str(caught.value).startswith(f"{directory / 'campaign.toml'}: ")
    assert str(caught.value).endswith("Mend this and try again.")
    assert "pydantic" not in str(caught.value)


def test_all_mistakes_are_told_at_once(directory: Path) -> None:
    edit(directory, "practice = 3", 'practice = "many"')
    edit(directory, 'name = "quick"', 'nmae = "quick"')
    with pytest.raises(CampaignError, match=r"'nmae'.*key 'practice'"):
        open_folder(directory)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[campaign\n", r"campaign\.toml cannot be read: .*line 1.*Mend that place"),
        ("name = 'Téo'".encode("cp1252"), r"campaign\.toml cannot be read: .*utf-8"),
        (b"", r"table \[campaign\]: is missing; .*table \[corpus\]: is missing"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(content: bytes, said: str, directory: Path) -> None:
    (directory / "campaign.toml").write_bytes(content)
    with pytest.raises(CampaignError, match=said):
        open_folder(directory)


def test_a_byte_order_mark_is_no_mistake(directory: Path) -> None:
    path = directory / "campaign.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert open_folder(directory).config.campaign.name == "quick"


def test_a_folder_without_a_campaign_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"There is no .*campaign\.toml\. Make a campaign with: imitable new .*c$"):
        open_folder(tmp_path / "c")


@pytest.mark.parametrize("content", [None, "", "zz" * 32, "ab" * 8])
def test_a_bad_key_asks_for_the_one_that_new_made(content: str | None, directory: Path) -> None:
    (directory / "secret.key").unlink()
    if content is not None:
        (directory / "secret.key").write_text(content)
    with pytest.raises(CampaignError, match=r"secret\.key .*[Pp]ut back the"):
        open_folder(directory)


def two_models(tmp_path: Path, first: str, second: str) -> Campaign:
    directory = campaign(tmp_path / "c", texts=None)
    edit(directory, '[model]\npath = "builtin:stories260K"', f"[[models]]\n{first}\n[[models]]\n{second}")
    return read_config(directory / "campaign.toml")


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"two models are called 'llama'; give each its own name"):
        two_models(tmp_path, 'path = "/a/llama"', 'path = "/b/llama"')


def test_two_revisions_are_two_models(tmp_path: Path) -> None:
    hub = 'path = "EleutherAI/pythia-70m"\nrevision = "step{}"'
    config = two_models(tmp_path, hub.format(1), hub.format(2))
    assert [model.model_id for model in config.all_models] == [
        "EleutherAI/pythia-70m@step1",
        "EleutherAI/pythia-70m@step2",
    ]


@pytest.mark.parametrize(
    ("table", "model_id"),
    [
        ('path = "builtin:stories260K"', "stories260K"),
        ('path = "builtin:stories260K"\nname = "mine"', "mine"),
        ('path = "org/model"', "org/model"),
        ('path = "models/tiny"', "tiny"),
        ('path = "./models/tiny/"', "tiny"),
        ('path = "./models/../models/tiny"', "tiny"),
    ],
)
def test_a_model_has_the_same_id_wherever_the_command_is_run(
    table: str, model_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = campaign(tmp_path / "c", texts=None, model=table)
    (directory / "models" / "tiny").mkdir(parents=True)
    found = set()
    for where in (tmp_path, directory):
        monkeypatch.chdir(where)
        found.add(read_config(directory / "campaign.toml").all_models[0].model_id)
    assert found == {model_id}


def test_annotators_are_pseudonyms_from_the_key(directory: Path) -> None:
    folder = open_folder(directory)
    digest = hmac.new(KEY, b"prolific\n5f1", hashlib.sha256).hexdigest()
    assert folder.annotator_id("prolific", "5f1") == f"a_{digest[:16]}"
    assert folder.derive("item", 1) != folder.derive("item", 2)
    assert folder.derive("item", 1) == open_folder(directory).derive("item", 1)


def test_a_consent_text_that_is_missing_is_named(directory: Path) -> None:
    edit(directory, "[model]", '[study]\nconsent = "agree.md"\n[model]')
    with pytest.raises(CampaignError, match=r"agree\.md named in campaign\.toml, \[study\] consent, cannot be read"):
        open_folder(directory).consent_text()


HEAVY = ("torch", "transformers", "boto3", "label_studio_sdk", "ray")


@pytest.mark.parametrize("code", ["import imitable", "import sys; sys.argv = ['imitable', '--help']; {cli}"])
def test_importing_and_asking_for_help_load_nothing_heavy(code: str) -> None:
    cli = "from imitable.cli import main\ntry:\n    main()\nexcept SystemExit as left:\n    assert not left.code"
    script = code.format(cli=f"\n{cli}") + f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
