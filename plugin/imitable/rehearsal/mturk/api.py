"""The API as it is on the wire: JSON 1.1 at POST /, the operation's name in X-Amz-Target, signed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from imitable.rehearsal.faults import Fault, Fields, Headers
from imitable.rehearsal.mturk import assignments, blocks, hits, qualifications, signatures, telling, wallet
from imitable.rehearsal.mturk.model import Model
from imitable.rehearsal.mturk.world import LABEL, WireError, World

if TYPE_CHECKING:
    from starlette.types import Scope

OPERATIONS: dict[str, Callable[[World, Fields], Fields]] = {
    "AcceptQualificationRequest": qualifications.accept_request,
    "ApproveAssignment": assignments.approve,
    "AssociateQualificationWithWorker": qualifications.associate,
    "CreateAdditionalAssignmentsForHIT": hits.add_places,
    "CreateHIT": hits.create,
    "CreateHITType": hits.create_type,
    "CreateHITWithHITType": hits.create_with_type,
    "CreateQualificationType": qualifications.create,
    "CreateWorkerBlock": blocks.create,
    "DeleteHIT": hits.delete,
    "DeleteQualificationType": qualifications.delete,
    "DeleteWorkerBlock": blocks.delete,
    "DisassociateQualificationFromWorker": qualifications.disassociate,
    "GetAccountBalance": wallet.balance,
    "GetAssignment": assignments.get,
    "GetHIT": hits.get,
    "GetQualificationScore": qualifications.score,
    "GetQualificationType": qualifications.get,
    "ListAssignmentsForHIT": assignments.list_for_hit,
    "ListBonusPayments": wallet.list_bonuses,
    "ListHITs": hits.list_all,
    "ListHITsForQualificationType": hits.list_for_qualification,
    "ListQualificationRequests": qualifications.list_requests,
    "ListQualificationTypes": qualifications.list_types,
    "ListReviewableHITs": hits.list_reviewable,
    "ListWorkerBlocks": blocks.list_all,
    "ListWorkersWithQualificationType": qualifications.list_workers,
    "NotifyWorkers": telling.notify_workers,
    "RejectAssignment": assignments.reject,
    "RejectQualificationRequest": qualifications.reject_request,
    "SendBonus": wallet.send_bonus,
    "SendTestEventNotification": telling.send_test,
    "UpdateExpirationForHIT": hits.expire_at,
    "UpdateHITReviewStatus": hits.review,
    "UpdateHITTypeOfHIT": hits.change_type,
    "UpdateNotificationSettings": telling.update_settings,
    "UpdateQualificationType": qualifications.update,
}
"""All of the model but GetFileUploadURL and ListReviewPolicyResultsForHIT."""

_CONTENT = "application/x-amz-json-1.1"


class Api:
    """The account's side."""

    def __init__(self, world: World, model: Model) -> None:
        self.world = world
        self.model = model

    async def serve(self, request: Request) -> Response:
        """Answer one call."""
        body = await request.body()
        assignments.pass_time(self.world)
        try:
            return _answer(200, self._call(request, body))
        except WireError as error:
            return _answer(error.status, wire(self.world, error))

    def _call(self, request: Request, body: bytes) -> Fields:
        name = _operation(request.headers.get("x-amz-target", ""))
        if f"{self.model.target}.{name}" != request.headers.get("x-amz-target") or name not in self.model.operations:
            raise WireError("UnknownOperationException", f"There is no operation {name or 'without X-Amz-Target'}.")
        if self.world.settings.check_signatures:
            signatures.check(self.world.settings, str(request.url), request.headers, body)
        try:
            fields = json.loads(body or b"{}")
        except ValueError as error:
            raise WireError("SerializationException", f"The body is no JSON: {error}") from error
        self.model.check(name, fields)
        if name not in OPERATIONS:
            raise WireError("UnknownOperationException", f"This stand-in does not do {name}. Its root page says more.")
        return OPERATIONS[name](self.world, {key: value for key, value in fields.items() if value is not None})


class ApiFront:
    """What the API looks like from outside: one path, and operations."""

    def __init__(self, world: World) -> None:
        self.world = world

    def called(self, scope: Scope) -> Fields | None:
        """The operation in place of the path, and which call of a client it was, and which attempt."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] != "POST" or scope["path"] != "/":
            return None
        told = headers.get("amz-sdk-request", "").split("; ")
        return {
            "path": _operation(headers.get("x-amz-target", "")),
            "call": headers.get("amz-sdk-invocation-id", ""),
            "attempt": next((part for part in told if part.startswith("attempt=")), ""),
        }

    def failed(self, fault: Fault) -> tuple[int, Fields, Headers]:
        """In the shape of the wire."""
        headers = [(b"x-amzn-requestid", str(uuid.uuid4()).encode())]
        if fault.how == "accept":
            return 200, {}, headers
        if fault.how == "throttle":
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}, headers
        told = WireError("ServiceFault", "This failed because it was told to.", turk_code="AWS.ServiceUnavailable")
        return fault.status, wire(self.world, told), headers

    def headers(self) -> Headers:
        """What it is, and what time it is there: by its own clock."""
        now = self.world.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
        return [(b"x-stand-in", LABEL.encode()), (b"date", now.encode())]


def wire(world: World, error: WireError) -> Fields:
    """An error as it is sent: the service's own have a code, and the time in milliseconds behind the message."""
    if not error.turk_code:
        return {"__type": error.kind, "message": str(error)}
    told = f"{error} ({int(world.now().timestamp() * 1000)})"
    return {"__type": error.kind, "Message": told, "TurkErrorCode": error.turk_code}


def _operation(target: str) -> str:
    return target.rpartition(".")[2]


def _answer(status: int, said: Fields) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(said), status, headers, media_type=_CONTENT)
