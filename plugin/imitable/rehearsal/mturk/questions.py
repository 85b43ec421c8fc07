"""What a worker is asked, as XML with an address or a page in it, and what came back, as XML again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring  # only to write

from imitable.rehearsal.mturk.world import WireError, refused

_SCHEMAS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas"
EXTERNAL = f"{{{_SCHEMAS}/2006-07-14/ExternalQuestion.xsd}}"
HTML = f"{{{_SCHEMAS}/2011-11-11/HTMLQuestion.xsd}}"
ANSWERS = f"{_SCHEMAS}/2005-10-01/QuestionFormAnswers.xsd"

NOT_AVAILABLE = "ASSIGNMENT_ID_NOT_AVAILABLE"
"""What a preview has in place of an assignment."""

RESERVED = ("assignmentId", "hitId", "turkSubmitTo", "workerId")
"""Names of fields that never become an answer."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Question:
    """A question that was read."""

    url: str = ""
    """Of an ExternalQuestion."""
    html: str = ""
    """Of an HTMLQuestion. With neither it is a QuestionForm, which the stand-in cannot show."""
    height: int = 0
    """Pixels of the frame; 0 lets it fill the page."""


def read(xml: str) -> Question:
    """Raises WireError for what is no question. http is taken from this machine only; the service wanted https."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise _unreadable(str(error)) from error
    if root.tag == f"{EXTERNAL}ExternalQuestion":
        url = _text(root, f"{EXTERNAL}ExternalURL")
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise _unreadable(f"ExternalURL must begin with https://, not {url}")
        return Question(url=url, height=_height(root, EXTERNAL))
    if root.tag == f"{HTML}HTMLQuestion":
        return Question(html=_text(root, f"{HTML}HTMLContent"), height=_height(root, HTML))
    if root.tag.endswith("}QuestionForm"):
        return Question()
    raise _unreadable(f"{root.tag} is not one of ExternalQuestion, HTMLQuestion, QuestionForm")


def address(url: str, ids: dict[str, str]) -> str:
    """An address with these ids on top of its own query."""
    before, mark, fragment = url.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{urlencode(ids)}{mark}{fragment}"


def answer(fields: list[tuple[str, str]]) -> str:
    """What a worker handed in. Of fields with the same name the last one stays; characters that XML lacks go."""
    root = Element("QuestionFormAnswers", xmlns=ANSWERS)
    for name, value in dict(fields).items():
        if name not in RESERVED:
            one = SubElement(root, "Answer")
            SubElement(one, "QuestionIdentifier").text = _NOT_XML.sub("", name)
            SubElement(one, "FreeText").text = _NOT_XML.sub("", value)
    text: str = tostring(root, encoding="us-ascii").decode()
    return text


def _text(root: Element, tag: str) -> str:
    found = root.find(tag)
    if found is None or not (found.text or "").strip():
        raise _unreadable(f"{tag} is missing")
    return str(found.text).strip()


def _height(root: Element, namespace: str) -> int:
    text = _text(root, f"{namespace}FrameHeight")
    if not text.isdecimal():
        raise _unreadable(f"FrameHeight is no number: {text}")
    return int(text)


def _unreadable(details: str) -> WireError:
    return refused(
        "XMLParseError",
        "There was an error parsing the XML question or answer data in your request. Please make sure the data is "
        f"well-formed and validates against the appropriate schema. Details: {details}",
    )
