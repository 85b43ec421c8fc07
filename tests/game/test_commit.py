"""Commit, then reveal: the first guess counts, nothing is shown before it, and nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from imitable.errors import GameError
from imitable.game.commit import find_round, shades
from imitable.game.sessions import session_of, token_of
from imitable.game.views import Done, Questions, Reveal, Round
from imitable.store import tables
from playing import Table

Set = Callable[..., Table]


def asked(table: Table, token: str) -> Round:
    view = table.game.view(token)
    assert isinstance(view, Round)
    return view


def test_a_practice_guess_reveals_the_truth_and_the_points(table: Set) -> None:
    here = table()
    token = here.sit()
    question = asked(here, token)
    here.clock.move(seconds=7.5)
    view = here.game.guess(token, question.round_id, "6.5")
    assert isinstance(view, Reveal)
    item = here.rows(select(tables.rounds.c.item_id).where(tables.rounds.c.round_id == question.round_id))[0][0]
    truth = here.rows(select(tables.truths.c.truth).where(tables.truths.c.item_id == item))[0][0]
    assert view.guess == 6.5
    assert view.truth == truth
    assert view.points == pytest.approx(10 - abs(6.5 - truth))
    assert view.progress.points == view.points
    assert here.rows(select(tables.guesses.c.guess, tables.guesses.c.seconds)) == [(6.5, 7.5)]


def test_a_practice_reveal_shades_the_whole_text_where_the_campaign_allows(table: Set) -> None:
    here = table(practice=1, held_out=1)
    token = here.sit()
    question = asked(here, token)
    view = here.game.guess(token, question.round_id, "5")
    assert isinstance(view, Reveal)
    assert view.shaded is not None
    [(values, position)] = here.rows(
        select(tables.shades.c["values"], tables.shades.c.position)
        .join(tables.rounds, tables.rounds.c.item_id == tables.shades.c.item_id)
        .where(tables.rounds.c.round_id == question.round_id)
    )
    pieces, stimulus = view.shaded.pieces, question.stimulus
    assert "".join(piece.text for piece in pieces) == stimulus.before + stimulus.focus + stimulus.after
    assert [piece.value for piece in pieces] == values
    assert (pieces[view.shaded.focus].text, view.shaded.focus) == (stimulus.focus, position)
    assert isinstance(here.game.guess(token, asked(here, token).round_id, "5"), Questions)


def test_a_campaign_may_show_the_answer_without_the_shades(table: Set) -> None:
    here = table(episode="shade_reveal = false")
    token = here.sit()
    view = here.game.guess(token, asked(here, token).round_id, "5")
    assert isinstance(view, Reveal)
    assert view.shaded is None


def test_shades_are_not_read_before_the_guess_nor_in_held_out_rounds(table: Set) -> None:
    here = table(practice=1, held_out=1)
    token = here.sit()
    first = asked(here, token)
    with here.store.read() as connection:
        sitting, _ = session_of(here.folder, token)
        found = find_round(connection, sitting_id=sitting, round_id=first.round_id)
        assert found is not None
        assert shades(connection, found) is None
    here.game.guess(token, first.round_id, "5")
    second = asked(here, token)
    here.game.guess(token, second.round_id, "5")
    with here.store.read() as connection:
        for question, shaded in ((first, True), (second, False)):
            found = find_round(connection, sitting_id=sitting, round_id=question.round_id)
            assert found is not None
            assert (shades(connection, found) is not None) == shaded


def test_the_history_holds_the_rounds_before_and_seals_the_held_out_ones(table: Set) -> None:
    here = table(practice=2, held_out=2, episodes=1)
    token = here.sit()
    views = here.play(token)
    seen = [view for view in views if isinstance(view, Round | Reveal)]
    assert [len(view.history) for view in seen] == [0, 0, 1, 1, 2, 3]
    revealed = [view for view in seen if isinstance(view, Reveal)]
    last = seen[-1].history
    assert [(one.trial, one.guess) for one in last] == [(1, 5), (2, 5), (3, 5)]
    assert [(one.truth, one.points) for one in last] == [(view.truth, view.points) for view in revealed] + [
        (None, None)
    ]
    assert [one.stimulus.focus for one in last[:2]] == [view.stimulus.focus for view in revealed]


def test_the_answer_page_of_an_old_round_has_no_later_rounds_in_its_history(table: Set) -> None:
    here = table(practice=3)
    token = here.sit()
    first = asked(here, token)
    here.game.guess(token, first.round_id, "1")
    here.game.guess(token, asked(here, token).round_id, "1")
    back = here.game.guess(token, first.round_id, "1")
    assert isinstance(back, Reveal)
    assert back.history == ()


def test_who_came_back_without_a_proof_sees_no_answer_of_an_earlier_round(table: Set) -> None:
    here = table(practice=4)
    token = here.sit()
    first = asked(here, token)
    here.game.guess(token, first.round_id, "1")
    here.clock.move(seconds=1)
    later = token_of(here.folder, session_of(here.folder, token)[0], here.clock())
    second = here.game.view(later)
    assert isinstance(second, Round)
    assert second.history == ()
    assert here.game.guess(later, first.round_id, "1").kind == "round"
    new = here.game.guess(later, second.round_id, "1")
    assert isinstance(new, Reveal)
    assert new.history == ()
    third = here.game.view(later)
    assert isinstance(third, Round)
    assert [one.trial for one in third.history] == [2], "what was answered since then is remembered"
    assert here.game.guess(later, second.round_id, "9") == replace(new, repeated=True)
    assert len(asked(here, token).history) == 2, "a personal link still shows everything"


def test_a_token_cannot_be_given_another_past(table: Set) -> None:
    here = table()
    token = here.sit()
    here.clock.move(seconds=1)
    sitting, _ = session_of(here.folder, token)
    session, _, proof = token_of(here.folder, sitting, here.clock()).rpartition(".")
    for forged in (f"{sitting}.{proof}", f"{sitting}.0.{proof}", f"{session}.{token.rpartition('.')[2]}", proof, ""):
        with pytest.raises(GameError, match="does not know you"):
            here.game.view(forged)


def test_the_first_guess_counts_and_a_repeat_shows_what_was_stored(table: Set) -> None:
    here = table()
    token = here.sit()
    question = asked(here, token)
    first = here.game.guess(token, question.round_id, "2")
    again = here.game.guess(token, question.round_id, "9")
    assert isinstance(first, Reveal)
    assert isinstance(again, Reveal)
    assert (again.guess, again.truth, again.repeated, first.repeated) == (2, first.truth, True, False)
    assert here.rows(select(tables.guesses.c.guess)) == [(2,)]


def test_going_back_to_an_old_round_shows_its_reveal_and_no_later_points(table: Set) -> None:
    here = table(practice=3)
    token = here.sit()
    first = asked(here, token)
    revealed = here.game.guess(token, first.round_id, "1")
    here.game.guess(token, asked(here, token).round_id, "1")
    back = here.game.guess(token, first.round_id, "10")
    assert isinstance(revealed, Reveal)
    assert isinstance(back, Reveal)
    assert (back.guess, back.points, back.progress.trial) == (1, revealed.points, 1)


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "-inf", "-0.1", "10.01", "1e9", "5 5", "٫", "0x5", "1_0"])
def test_what_is_not_a_number_in_range_commits_nothing_and_says_what_to_do(table: Set, text: str) -> None:
    here = table()
    token = here.sit()
    question = asked(here, token)
    view = here.game.guess(token, question.round_id, text)
    assert isinstance(view, Round)
    assert "number from 0 to 10" in view.error
    assert view.round_id == question.round_id
    assert here.rows(select(tables.guesses)) == []


@pytest.mark.parametrize(("text", "kept"), [("6,5", 6.5), (" 7 ", 7.0), ("-0", 0.0), ("10", 10.0), ("0.25", 0.25)])
def test_numbers_are_read_as_people_write_them(table: Set, text: str, kept: float) -> None:
    here = table()
    token = here.sit()
    here.game.guess(token, asked(here, token).round_id, text)
    assert here.rows(select(tables.guesses.c.guess)) == [(kept,)]


def test_a_two_sided_target_takes_negative_guesses_and_halves_the_distance(table: Set) -> None:
    here = table(polarity="both")
    token = here.sit()
    question = asked(here, token)
    assert question.low == -10
    view = here.game.guess(token, question.round_id, "-9")
    assert isinstance(view, Reveal)
    assert view.points == pytest.approx(10 - abs(-9 - view.truth) / 2)


def test_held_out_rounds_reveal_nothing_and_are_announced(table: Set) -> None:
    here = table(practice=1, held_out=3, episodes=1)
    token = here.sit()
    views = here.play(token)
    held_out = [view for view in views if isinstance(view, Round) and view.phase == "held_out"]
    assert [view.first_held_out for view in held_out] == [True, False, False]
    assert sum(isinstance(view, Reveal) for view in views) == 1
    practice_points = next(view.points for view in views if isinstance(view, Reveal))
    assert {view.progress.points for view in held_out} == {practice_points}
    assert isinstance(views[-1], Done)
    assert (views[-1].points, views[-1].guesses) == (practice_points, 4)


def test_repeating_a_held_out_guess_goes_on_without_a_reveal(table: Set) -> None:
    here = table(practice=0, held_out=2)
    token = here.sit()
    question = asked(here, token)
    here.game.guess(token, question.round_id, "3")
    again = here.game.guess(token, question.round_id, "9")
    assert isinstance(again, Round)
    assert "first answer counts" in again.notice
    assert here.rows(select(tables.guesses.c.guess)) == [(3,)]


def test_rounds_cannot_be_answered_out_of_order_or_before_they_are_shown(table: Set) -> None:
    here = table()
    token = here.sit()
    asked(here, token)
    plan = here.rows(select(tables.rounds.c.round_id, tables.rounds.c.trial).order_by(tables.rounds.c.trial))
    for round_id, _trial in plan[1:]:
        view = here.game.guess(token, round_id, "5")
        assert isinstance(view, Round)
        assert "not open" in view.error
    assert here.rows(select(tables.guesses)) == []


def test_another_persons_round_does_not_exist_here(table: Set) -> None:
    here = table()
    mine, other = here.sit(0), here.sit(1)
    question = asked(here, mine)
    with pytest.raises(GameError, match="not yours"):
        here.game.guess(other, question.round_id, "5")
    assert here.rows(select(tables.guesses)) == []


@pytest.mark.parametrize("token", ["", "x", "s_0000.0", "s_é.ü", "."])
def test_a_token_that_we_did_not_give_out_is_refused(table: Set, token: str) -> None:
    here = table()
    here.sit()
    for act in (here.game.view, here.game.stop, lambda t: here.game.guess(t, "r", "5")):
        with pytest.raises(GameError, match="open your personal link again"):
            act(token)


def test_many_submits_of_one_round_at_once_store_one_guess_and_agree(table: Set) -> None:
    here = table()
    token = here.sit()
    question = asked(here, token)
    with ThreadPoolExecutor(12) as people:
        views = list(people.map(lambda n: here.game.guess(token, question.round_id, str(n % 11)), range(24)))
    assert here.rows(select(func.count()).select_from(tables.guesses)) == [(1,)]
    assert len({(view.guess, view.truth) for view in views if isinstance(view, Reveal)}) == 1
    assert sum(not view.repeated for view in views if isinstance(view, Reveal)) == 1


def test_two_tabs_of_one_link_share_one_sitting(table: Set) -> None:
    here = table()
    first = here.sit()
    second = here.game.start(here.links[0].code, agreed=True)
    assert here.game.view(first) == here.game.view(second)
    here.game.guess(first, asked(here, first).round_id, "4")
    view = here.game.view(second)
    assert isinstance(view, Round)
    assert view.progress.trial == 2


def test_starting_at_once_from_many_tabs_makes_one_sitting_and_one_episode(table: Set) -> None:
    here = table()

    def come_in(_: int) -> str:
        token = here.game.start(here.links[0].code, agreed=True)
        for step in "123":
            here.game.tutorial(token, step, "5")
        here.game.view(token)
        return token

    with ThreadPoolExecutor(8) as tabs:
        tokens = set(tabs.map(come_in, range(16)))
    assert len(tokens) == 1
    assert here.rows(select(func.count()).select_from(tables.sittings)) == [(1,)]
    assert here.rows(select(func.count()).select_from(tables.episodes)) == [(1,)]


def test_the_three_questions_follow_an_episode_and_the_first_answer_stands(table: Set) -> None:
    here = table(practice=1, held_out=0, episodes=1)
    token = here.sit()
    here.game.guess(token, asked(here, token).round_id, "5")
    view = here.game.view(token)
    assert isinstance(view, Questions)
    refused = here.game.answer(token, view.episode_id, fun="6", interest="", explanation="x")
    assert isinstance(refused, Questions)
    assert "1 to 5" in refused.error
    here.game.answer(token, view.episode_id, fun="5", interest="1", explanation="a" * 5000)
    here.game.answer(token, view.episode_id, fun="1", interest="5", explanation="later")
    assert here.rows(select(tables.answers.c.fun, tables.answers.c.interest, tables.answers.c.explanation)) == [
        (5, 1, "a" * 1000)
    ]


def test_stopping_ends_the_sitting_keeps_what_was_done_and_reveals_no_more(table: Set) -> None:
    here = table()
    token = here.sit()
    first = asked(here, token)
    here.game.guess(token, first.round_id, "5")
    open_round = asked(here, token)
    done = here.game.stop(token)
    assert isinstance(done, Done)
    assert done.stopped
    assert done.guesses == 1
    assert here.game.guess(token, open_round.round_id, "5") == done
    assert here.game.view(token) == done
    assert here.rows(select(func.count()).select_from(tables.guesses)) == [(1,)]


def test_a_restarted_server_goes_on_where_the_first_one_was(table: Set) -> None:
    here = table()
    token = here.sit()
    here.game.guess(token, asked(here, token).round_id, "5")
    before = here.game.view(token)
    again = Table(here.folder, here.store, 3)
    assert again.game.view(token) == before


def test_the_warm_up_is_not_recorded_and_cannot_be_skipped_by_guessing_steps(table: Set) -> None:
    here = table()
    token = here.game.start(here.links[0].code, agreed=True)
    for step in ("3", "0", "-1", "x", "99"):
        here.game.tutorial(token, step, "5")
    view = here.game.view(token)
    assert isinstance(view, Round)
    assert (view.tutorial, view.round_id) == (True, "1")
    assert here.rows(select(tables.guesses)) == here.rows(select(tables.episodes)) == []


def test_the_link_of_a_sitting_that_is_over_shows_its_end(table: Set) -> None:
    here = table()
    token = here.sit()
    done = here.game.stop(token)
    assert here.game.landing(here.links[0].code) == done


def test_the_warm_up_is_played_on_the_scale_of_the_campaign(table: Set) -> None:
    here = table(polarity="both")
    token = here.game.start(here.links[0].code, agreed=True)
    view = here.game.view(token)
    assert isinstance(view, Round)
    assert (view.tutorial, view.low) == (True, -10)
    revealed = here.game.tutorial(token, "1", "-2")
    assert isinstance(revealed, Reveal)
    assert revealed.points == pytest.approx(10 - abs(-2 - revealed.truth) / 2)
