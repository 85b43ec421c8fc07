"""The worker site of the stand-in for Mechanical Turk, in a real Chromium, with somebody's own task in its frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.other_site import OtherSite
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect
from rehearsal.mturk_requester import client, hit, hit_type, question

from imitable.rehearsal.mturk import StandIn, standing_in

pytestmark = pytest.mark.browser

TASK = """<!doctype html><title>A task</title><h1>What do you see?</h1><p id="who"></p>
<form method="post"><input type="hidden" name="assignmentId"><input name="seen"><button>Hand in</button></form>
<script>
const asked = new URLSearchParams(location.search), form = document.querySelector("form");
form.assignmentId.value = asked.get("assignmentId");
form.action = asked.get("turkSubmitTo") + "/mturk/externalSubmit";
who.textContent = asked.get("workerId") || "nobody yet";
try { who.textContent += " " + parent.document.title; } catch { who.textContent += " apart"; }
</script>"""
HTML = (
    '<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd">'
    f"<HTMLContent><![CDATA[{TASK}]]></HTMLContent><FrameHeight>450</FrameHeight></HTMLQuestion>"
)


@pytest.fixture
def there() -> Iterator[StandIn]:
    with standing_in() as one:
        yield one


@pytest.fixture
def task() -> Iterator[OtherSite]:
    made = OtherSite()
    made.page = TASK
    yield made
    made.close()


@pytest.fixture
def browse(chromium: Browser, there: StandIn) -> Iterator[Callable[[str], Page]]:
    contexts: list[BrowserContext] = []

    def come(worker: str) -> Page:
        contexts.append(chromium.new_context(viewport={"width": 1100, "height": 760}))
        page = contexts[-1].new_page()
        page.goto(f"{there.address}/worker/{worker}")
        return page

    yield come
    for context in contexts:
        context.close()


def framed(page: Page) -> Frame:
    handle = page.wait_for_selector("iframe")
    found = handle.content_frame() if handle else None
    assert found is not None
    found.wait_for_selector("#who:not(:empty)")
    return found


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_task_is_previewed_accepted_returned_and_handed_in_by_another_worker(
    there: StandIn,
    task: OtherSite,
    browse: Callable[[str], Page],
    screenshots: Path | None,
    name: str,
) -> None:
    api: Any = client(there)
    address = task.origin.replace("localhost", name)
    mine = hit(api, hit_type(api, Title="What do you see?"), MaxAssignments=1, Question=question(f"{address}/?a=1"))
    first, second = there.workers(2)
    page = browse(first)
    picture(page, screenshots, "tasks")
    page.get_by_role("link", name="Preview").click()
    frame = framed(page)
    assert frame.inner_text("#who") == "nobody yet apart", "another site, which cannot look at the page around it"
    assert name not in page.url, "whatever the task's name is, the worker site has the other"
    frame.click("text=Hand in")
    frame.get_by_text("This is a preview").wait_for()
    page.reload()
    framed(page)
    picture(page, screenshots, "preview")
    press(page, "Accept")
    assert framed(page).inner_text("#who") == f"{first} apart"
    picture(page, screenshots, "task")
    press(page, "Return")
    page.get_by_text("You returned the task").wait_for()
    page = browse(second)
    page.get_by_role("link", name="Preview").click()
    press(page, "Accept")
    frame = framed(page)
    frame.fill("input[name=seen]", "a cat & a <dog>")
    frame.click("text=Hand in")
    page.wait_for_url(f"**/worker/{second}?said=submitted")
    [work] = api.list_assignments_for_hit(HITId=mine)["Assignments"]
    assert work["WorkerId"] == second
    assert "<FreeText>a cat &amp; a &lt;dog&gt;</FreeText>" in work["Answer"]
    api.approve_assignment(AssignmentId=work["AssignmentId"], RequesterFeedback="Thank you")
    api.send_bonus(WorkerId=second, AssignmentId=work["AssignmentId"], BonusAmount="1.25", Reason="r")
    page.reload()
    expect(page.locator("main")).to_contain_text("Thank you")
    expect(page.locator("header")).to_contain_text("earned $1.75")
    expect(page.locator("body")).to_contain_text("no real money, no real people")
    picture(page, screenshots, "paid")


def test_a_page_that_the_hit_holds_itself_stands_in_a_frame_apart(
    there: StandIn, browse: Callable[[str], Page]
) -> None:
    api: Any = client(there)
    mine = hit(api, Question=HTML)
    [worker] = there.workers(1)
    page = browse(worker)
    page.get_by_role("link", name="Preview").click()
    press(page, "Accept")
    frame = framed(page)
    assert frame.inner_text("#who") == f"{worker} apart"
    assert page.locator("iframe").bounding_box()["height"] == 450  # type: ignore[index]
    frame.click("text=Hand in")
    page.wait_for_url(f"**/worker/{worker}?said=submitted")
    assert api.list_assignments_for_hit(HITId=mine)["NumResults"] == 1


def test_a_task_that_took_too_long_is_not_taken_and_one_that_is_not_for_somebody_says_so(
    there: StandIn, task: OtherSite, browse: Callable[[str], Page]
) -> None:
    api: Any = client(there)
    own = api.create_qualification_type(Name="Screened", Description="Ours", QualificationTypeStatus="Active")
    wanted = {"QualificationTypeId": own["QualificationType"]["QualificationTypeId"], "Comparator": "Exists"}
    kind = hit_type(api, Title="Only for some", QualificationRequirements=[wanted])
    hit(api, kind, Question=question(task.origin))
    [worker] = there.workers(1)
    page = browse(worker)
    page.get_by_role("link", name="Preview").click()
    framed(page)
    expect(page.locator("header")).to_contain_text("do not meet the requirements")
    assert page.get_by_role("button", name="Accept").count() == 0
    page.goto(f"{there.address}/worker/{worker}")
    press(page, "Ask for it")
    page.get_by_text("You asked for the qualification").wait_for()
    [request] = api.list_qualification_requests()["QualificationRequests"]
    api.accept_qualification_request(QualificationRequestId=request["QualificationRequestId"])
    page.get_by_role("link", name="Preview").click()
    press(page, "Accept")
    frame = framed(page)
    there.move(seconds=601)
    frame.click("text=Hand in")
    frame.get_by_text("This assignment is abandoned").wait_for()


def picture(page: Page, folder: Path | None, name: str) -> None:
    if folder is not None:
        page.screenshot(path=folder / f"worker-site-{name}.png")
