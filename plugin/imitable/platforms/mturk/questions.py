"""The XML of the protocol: the question that leads to our page, and the answers that came back.

A question is only ever an ExternalQuestion: an HTMLQuestion holds all that a worker will need when it is loaded, truths
too. Answers are written by whoever submits them: they are read without DTDs, and never believed.
"""

from __future__ import annotations

from xml.etree import ElementTree  # for writing only

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

_SCHEMAS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas"
_QUESTION = f"{_SCHEMAS}/2006-07-14/ExternalQuestion.xsd"
_ANSWERS = f"{{{_SCHEMAS}/2005-10-01/QuestionFormAnswers.xsd}}"

LONGEST = 131_072
"""Characters of an answer that are read; ours has two short fields."""


def external_question(url: str, *, height: int) -> str:
    """The question that shows our page in a frame. `height` in pixels; 0 lets the site choose."""
    root = ElementTree.Element("ExternalQuestion", xmlns=_QUESTION)
    ElementTree.SubElement(root, "ExternalURL").text = url
    ElementTree.SubElement(root, "FrameHeight").text = str(height)
    return ElementTree.tostring(root, encoding="unicode")


def url_of(question: str) -> str:
    """The address that an ExternalQuestion leads to; empty for anything else."""
    try:
        found = fromstring(question, forbid_dtd=True).findtext(f"{{{_QUESTION}}}ExternalURL")
    except (ParseError, DefusedXmlException, ValueError):
        return ""
    return (found or "").strip()


def fields_of(answer: str | None) -> dict[str, str] | None:
    """The fields of an answer; of a name that comes twice, the first. None for what is no answer that can be read."""
    if not answer or len(answer) > LONGEST:
        return None
    try:
        root = fromstring(answer, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    if root.tag != f"{_ANSWERS}QuestionFormAnswers":
        return None
    fields: dict[str, str] = {}
    for one in root.iter(f"{_ANSWERS}Answer"):
        name = one.findtext(f"{_ANSWERS}QuestionIdentifier") or ""
        fields.setdefault(name, one.findtext(f"{_ANSWERS}FreeText") or "")
    return fields
