"""Label Studio: whole episodes with the answer after every guess, on a server of your own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.content import Content, read_content
from imitable.game.label_studio import names
from imitable.game.reserving import Reserved, forgotten, reserve, reserved
from imitable.platforms import Collected, Progress, Published, nobody_invited, silent
from imitable.platforms.by_hand import uploaded
from imitable.platforms.label_studio.accounts import Account, everybody_but, read_accounts, refuse_strangers
from imitable.platforms.label_studio.client import Server, connected
from imitable.platforms.label_studio.closing import close_tasks
from imitable.platforms.label_studio.collecting import begun, pull, take_answers
from imitable.platforms.label_studio.desks import make_drafts, make_tabs, write_addresses
from imitable.platforms.label_studio.drawing import labelling_config, round_data, task_data
from imitable.platforms.label_studio.files import refuse_twice
from imitable.platforms.label_studio.findings import compare
from imitable.platforms.label_studio.in_turn import InTurn
from imitable.platforms.label_studio.modes import refuse_other_mode
from imitable.platforms.label_studio.project import alone, check_config, connect, find_project, make_project
from imitable.platforms.label_studio.sending import Task, external_ids, send
from imitable.platforms.label_studio.taking import take_heard
from imitable.platforms.notes import promises
from imitable.platforms.sittings import end_sittings, offered
from imitable.store import Store, tables
from imitable_templates.texts import Texts

if TYPE_CHECKING:
    from imitable.campaign.running import LabelStudio as Settings


class LabelStudio:
    """`--platform label-studio`: a project whose tasks are episodes, each made for its annotator."""

    def __init__(self) -> None:
        self._planned: int | None = None
        """Sittings that the last dry run named, for which money was set aside; None before one."""

    def publish(
        self, folder: Folder, store: Store, *, places: int | None, dry_run: bool, progress: Progress = silent
    ) -> Published:
        """Make the project, or what it lacks, with tasks for the first `places` accounts (None: for all).

        Raises PlatformError, NotOffered as long as no task is sent; the same call again goes on where it ended, and
        makes nothing twice.
        """
        settings, words = _settings(folder), folder.texts()
        refuse_twice(folder, store, by_hand=False)
        refuse_other_mode(folder, store, settings.mode)
        config = labelling_config(folder, words)
        check_config(config)
        content = read_content(store, words)
        before = offered(store, names.PLATFORM)
        if dry_run:
            chosen, gone = _chosen(folder, store, _accounts(folder, settings, None), places)
            would = _reserve(folder, store, content, settings, chosen, dry_run=True)
            sittings = before.union(one.sitting_id for one in would)
            what = f"a Label Studio project at {settings.url} with {_counted(would)}"
            step = f"start 'imitable serve {folder.path}', then the same command without --dry-run"
            notes = (*_notes(chosen, gone, would, settings.mode), *promises(folder))
            self._planned = len(sittings)
            return Published(what, (), step, notes, len(sittings))
        with ExitStack() as to_end:
            with nobody_invited(len(before)):  # until a task is sent
                to_end.enter_context(alone(store, folder))
                server = to_end.enter_context(connected(settings.url))
                chosen, gone = _chosen(folder, store, _accounts(folder, settings, server), places)
                made = _reserve(folder, store, content, settings, chosen)
                sittings = before.union(one.sitting_id for one in made)
                _refuse_more(len(sittings), self._planned)
                project = make_project(server, folder, store, config)
                others = connect(server, folder, project, settings.mode)
            every = [one for one in _reserved(store) if one.sitting_id in sittings]
            tasks = _tasks(folder, store, content, words, _open(store, every), settings.mode)
            send(server, store, project, tasks, progress)
            people = sorted({one.name for one in every})
            columns = list(tasks[0].draw())[2:] if tasks else []
            tabs = make_tabs(server, project, people, columns=columns)
            if settings.mode == "interactive":
                make_drafts(server, project, chosen, _ids(store, tasks), progress)
            path = write_addresses(folder, (settings.public_url or server.url).rstrip("/"), project, tabs)
        what = f"a Label Studio project with {_counted(every)}: {settings.url}/projects/{project}"
        step = f"let 'imitable serve {folder.path}' run, and send each person the address in {path.name}"
        notes = (*map(_stranger, others), *_notes(chosen, gone, made, settings.mode), *promises(folder))
        return Published(what, (path,), step, notes, len(sittings))

    def collect(self, folder: Folder, store: Store, *, progress: Progress = silent) -> Collected:
        """Ask what changed since last time, keep the answers to the three questions, compare all with the record."""
        if uploaded(store, names.PLATFORM):  # no server is asked; guesses come with --from-file
            return Collected(begun(store))
        settings = _settings(folder)
        refuse_other_mode(folder, store, settings.mode)
        with alone(store, folder), connected(settings.url) as server:
            project = find_project(server, store)
            if project is None:
                raise PlatformError(
                    f"There is no project of this campaign at {settings.url}. Make it with: imitable publish "
                    f"{folder.path} --platform {names.PLATFORM}"
                )
            there = pull(server, store, project, progress)
            if settings.mode != "interactive":
                _take_rounds(server, folder, store, project, in_turn=settings.mode == "webhook")
        take_answers(store)
        return Collected(begun(store), tuple(compare(folder, store, there)))

    def close(self, folder: Folder, store: Store, *, now: bool = False) -> str:
        """Remove the tasks that nobody began, so that none is begun; what has begun may be finished, unless `now`."""
        if uploaded(store, names.PLATFORM):
            ended = end_sittings(store, names.PLATFORM) if now else 0
            over = f" {ended} sittings are over. Import the last export before you pay: what comes later earns nothing."
            return f"What was imported by hand is closed there: take its tasks out of the project.{over if now else ''}"
        settings = _settings(folder)
        with alone(store, folder), connected(settings.url) as server:
            project = find_project(server, store)
            if project is not None:  # what was answered since the last 'collect' has begun
                refuse_other_mode(folder, store, settings.mode)
                pull(server, store, project, silent)
                if settings.mode != "interactive":
                    _take_guesses(folder, store, in_turn=settings.mode == "webhook")
            return close_tasks(server, store, project, now=now)


def _refuse_more(sittings: int, planned: int | None) -> None:
    """Raise PlatformError where an account was made since the dry run: no money is set aside for it."""
    if planned is not None and sittings > planned:
        raise PlatformError(
            f"Accounts were added meanwhile: there are {sittings} sittings now, and money was set aside for {planned}. "
            "Nothing was sent. Publish again."
        )


def _reserved(store: Store) -> list[Reserved]:
    """Everybody's episodes, but for those who were forgotten."""
    with store.read() as connection:
        every = reserved(connection, platform=names.PLATFORM)
    return [one for one in every if not one.name.startswith(tables.FORGOTTEN)]


def _settings(folder: Folder) -> Settings:
    settings = folder.config.platform.label_studio
    if settings is None:
        raise PlatformError(
            f"{folder.path / 'campaign.toml'} has no table [platform.label_studio]. Add it, with url = the address of "
            "your Label Studio; 'imitable label-studio up' starts one to try."
        )
    return settings


def _accounts(folder: Folder, settings: Settings, server: Server | None) -> list[Account]:
    """Who may play. Asks a server only where no file says it, or to see that it knows them."""
    listed = read_accounts(folder.path / settings.accounts) if settings.accounts else None
    if server is None:
        if listed is not None:
            return listed
        with connected(settings.url) as other:
            return _accounts(folder, settings, other)
    emails = server.emails()
    if listed is None:
        return everybody_but(server.me(), emails, server.url)
    refuse_strangers(listed, emails, server.url)
    return listed


def _chosen(
    folder: Folder, store: Store, accounts: list[Account], places: int | None
) -> tuple[list[Account], set[str]]:
    """The first `places` accounts, and those who were forgotten, who are not among them and keep the place they had."""
    with store.read() as connection:
        gone = forgotten(connection, folder, names.PLATFORM, [account.email for account in accounts])
    accounts = [account for account in accounts if account.email not in gone]
    if places is not None and places > len(accounts) + len(gone):
        raise PlatformError(
            f"There are {len(accounts)} accounts, and {places} sittings were asked for. Ask for fewer, or add accounts."
        )
    return accounts if places is None else accounts[: max(0, places - len(gone))], gone


def _reserve(
    folder: Folder,
    store: Store,
    content: Content,
    settings: Settings,
    chosen: Sequence[Account],
    *,
    dry_run: bool = False,
) -> list[Reserved]:
    return reserve(
        store,
        folder,
        content,
        platform=names.PLATFORM,
        names=[account.email for account in chosen],
        share_items=settings.proxied or settings.mode == "plain",
        now=datetime.now(UTC),
        dry_run=dry_run,
        instead=True,
    )


def _open(store: Store, every: Sequence[Reserved]) -> list[Reserved]:
    """The episodes that can still be played: what is finished, or of a sitting that ended, needs no task."""
    closed = (
        select(tables.episodes.c.episode_id)
        .join(tables.sitting_episodes, tables.sitting_episodes.c.episode_id == tables.episodes.c.episode_id)
        .join(tables.sittings, tables.sittings.c.sitting_id == tables.sitting_episodes.c.sitting_id)
        .where(tables.episodes.c.completed_at.is_not(None) | tables.sittings.c.ended_at.is_not(None))
    )
    with store.read() as connection:
        over = set(connection.execute(closed).scalars())
    return [one for one in every if one.episode_id not in over]


def _tasks(
    folder: Folder, store: Store, content: Content, words: Texts, every: Sequence[Reserved], mode: str
) -> list[Task]:
    """A task for each episode, for each of its rounds, or for the round that each annotator has come to."""
    if mode == "webhook":
        return InTurn(folder, store).next_tasks(sorted({one.sitting_id for one in every}))
    if mode == "interactive":
        return [
            Task(
                key=names.task_key(folder, one.episode_id),
                episode_id=one.episode_id,
                trial=0,
                name=one.name,
                draw=partial(task_data, folder, content, words, one),
            )
            for one in every
        ]
    return [
        Task(
            key=names.task_key(folder, one.episode_id, asked.trial),
            episode_id=one.episode_id,
            trial=asked.trial,
            name=one.name,
            draw=partial(round_data, folder, content, words, one, asked),
        )
        for one in every
        for asked in one.rounds
    ]


def _take_rounds(server: Server, folder: Folder, store: Store, project: int, *, in_turn: bool) -> None:
    """Commit what was guessed in tasks of one round; where they come in turn, see to it that the next are there."""
    content, words = _take_guesses(folder, store, in_turn=in_turn), folder.texts()
    if in_turn:
        # Who was never sent a task, or whose tasks were withdrawn, is not invited from here.
        sent = offered(store, names.PLATFORM)
        every = [one for one in _reserved(store) if one.sitting_id in sent]
        tasks = _tasks(folder, store, content, words, _open(store, every), "webhook")
        send(server, store, project, tasks, silent)


def _take_guesses(folder: Folder, store: Store, *, in_turn: bool) -> Content:
    """Commit what was guessed in tasks of one round, as far as it was heard of."""
    content = read_content(store, folder.texts())
    take_heard(folder, store, content, now=datetime.now(UTC) if in_turn else None)
    return content


def _ids(store: Store, tasks: Sequence[Task]) -> dict[str, set[int]]:
    """The server's ids of these tasks, by whom they are for."""
    known, found = external_ids(store), dict[str, set[int]]()
    for task in tasks:
        found.setdefault(task.name, set()).add(known[task.key])
    return found


def _counted(every: Sequence[Reserved]) -> str:
    people = len({one.name for one in every})
    return f"{len(every)} episode{'s'[: len(every) != 1]} for {people} annotator{'s'[: people != 1]}"


def _notes(chosen: Sequence[Account], gone: Collection[str], made: Sequence[Reserved], mode: str) -> list[str]:
    with_tasks = {one.name for one in made}
    notes, idle = [], sum(account.email not in with_tasks for account in chosen)
    if idle:
        notes.append(
            f"{idle} of {len(chosen)} accounts get no task, for every target has its annotators: raise "
            "[platform.label_studio] annotators_per_target if they are to play too."
        )
    if gone:
        notes.append(
            f"{len(gone)} of the accounts belong{'s'[: len(gone) == 1]} to people who were forgotten, and get"
            f"{'s'[: len(gone) == 1]} no task: take them out of the accounts' file."
        )
    unknown = sum(not account.token for account in chosen)
    if unknown and mode == "interactive":
        notes.append(
            f"Of {unknown} of {len(chosen)} annotators no token is known, so that a page of theirs answers only some "
            "seconds after something was typed: a column 'token' in the accounts' file lets it answer at once."
        )
    return notes


def _stranger(url: str) -> str:
    return (
        f"Another backend stands in the project ({url}) and reads what annotators type: remove it unless it is yours."
    )
