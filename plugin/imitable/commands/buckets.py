"""Folders of ours on S3 (or what speaks its protocol): written whole, replaced safely, read back and checked.

S3 has no folders and renames nothing, so that the data package's descriptor, datapackage.json, stands for the whole: it
is taken away first and put last, and who finds it finds everything that it lists, with sizes and hashes. Credentials,
region and endpoint come from boto3's own chain (environment, profiles, roles; AWS_ENDPOINT_URL for other services).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imitable.commands.progress import Progress, silent
from imitable.errors import MissingExtra, TablesError

SCHEME = "s3://"
DESCRIPTOR = "datapackage.json"
MARK = "imitable-sha256"
"""Metadata of every object that we write: the SHA-256 of the whole of it, in hex."""
PART = 8 * 2**20
"""Bytes from which on an object is sent in parts, and of each part."""
ALWAYS_ASKED = 1000
"""Keys that S3 lists at a time."""


def is_bucket(address: str | Path) -> bool:
    """Whether an export or a ranking is asked for on S3."""
    return str(address).startswith(SCHEME)


class Bucket:
    """A prefix of a bucket. Everything raises TablesError, which names the address and says what to do."""

    def __init__(self, address: str) -> None:
        self.name, _, prefix = address.removeprefix(SCHEME).partition("/")
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.address = f"{SCHEME}{self.name}/{self.prefix}"
        if not self.name:
            raise TablesError(f"{address} names no bucket. Write it as s3://BUCKET/PREFIX.")
        try:
            import boto3
            import boto3.s3.transfer
            import botocore.config
        except ImportError as error:
            raise MissingExtra("aws", wanted_for=f"Reading and writing {address}") from error
        self._plan = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        with self._translated():
            config = botocore.config.Config(connect_timeout=10)
            self._s3: Any = boto3.session.Session().client("s3", config=config)

    def write(self, folder: Path, *, progress: Progress = silent) -> None:
        """Put the files of a folder that `write_folder` made under the prefix, in place of an earlier one of its kind.

        What another program put there is never touched. Until the end, and after a failure, there is no descriptor.
        """
        files = {path.name: path for path in sorted(folder.iterdir())}
        descriptor = files.pop(DESCRIPTOR)
        hashes = {name: _sha256(path) for name, path in files.items()}
        with self._translated():
            there = self._ours(json.loads(descriptor.read_bytes()), list(files))
            self._delete([DESCRIPTOR] if DESCRIPTOR in there else [])
            with progress("Sending to S3", sum(path.stat().st_size for path in files.values())) as advance:
                for name, path in files.items():
                    self._put(name, path, hashes[name], advance)
            self._delete([name for name in there if name not in files and name != DESCRIPTOR])
            for name, known in hashes.items():
                if self._mark(name) != known:
                    raise TablesError(
                        f"{self.address}{name} is not what was sent: another export writes there too. Wait for it, or "
                        "give a prefix of its own."
                    )
            # nobody else's descriptor is replaced: there was none left
            self._s3.put_object(
                Bucket=self.name,
                Key=self.prefix + DESCRIPTOR,
                Body=descriptor.read_bytes(),
                ChecksumAlgorithm="SHA256",
                ContentType="application/json",
                Metadata={MARK: _sha256(descriptor)},
                IfNoneMatch="*",
            )

    @contextmanager
    def fetched(self, *, progress: Progress = silent) -> Iterator[Path]:
        """A copy of what was written here, on this machine for as long as this lasts, every file compared by hash."""
        with tempfile.TemporaryDirectory(prefix="imitable-") as held:
            folder = Path(held)
            with self._translated():
                described = self._descriptor()
                if described is None:
                    raise TablesError(
                        f"{self.address} holds no {DESCRIPTOR}: nothing was exported there, or not all of it yet. "
                        f"Write it with: imitable export DIR --out {self.address}"
                    )
                whole = sum(int(one["bytes"]) for one in described["resources"])
                with progress("Reading from S3", whole) as advance:
                    for one in described["resources"]:
                        self._get(one["path"], folder / one["path"], one["hash"].removeprefix("sha256:"), advance)
                (folder / DESCRIPTOR).write_text(json.dumps(described), encoding="utf-8")
            yield folder

    def _ours(self, written: dict[str, Any], names: list[str]) -> list[str]:
        """What lies under the prefix, by name. Raises TablesError for anything that this export would not replace."""
        there: list[str] = []
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.prefix, PaginationConfig={"PageSize": ALWAYS_ASKED}
        )
        for page in pages:
            there += [one["Key"].removeprefix(self.prefix) for one in page.get("Contents", [])]
        before = self._descriptor() if DESCRIPTOR in there else None
        if before is not None and before.get("name") != written["name"]:
            raise TablesError(
                f"{self.address} holds another kind of files ({before.get('name')}). Give a prefix of its own."
            )
        known = {*names, *(before["files"] if before else [])}
        strange = [name for name in there if name not in known and name != DESCRIPTOR]
        if before is None:  # what an export that broke off left is marked as ours
            strange += [name for name in there if name in known and not self._mark(name)]
        if strange:
            raise TablesError(
                f"{self.address} holds {', '.join(sorted(strange)[:3])}, which imitable did not write. Give an empty "
                "prefix, or move that away."
            )
        return there

    def _descriptor(self) -> dict[str, Any] | None:
        """What was written here; None where there is no descriptor of ours."""
        try:
            body = self._s3.get_object(Bucket=self.name, Key=self.prefix + DESCRIPTOR)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        try:
            described = json.loads(body)
            ours = described["created_by"] == "imitable" and isinstance(described["files"], list)
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise TablesError(f"{self.address}{DESCRIPTOR} was not written by imitable. Give another prefix.")
        found: dict[str, Any] = described
        return found

    def _mark(self, name: str) -> str:
        head = self._s3.head_object(Bucket=self.name, Key=self.prefix + name)
        return str(head["Metadata"].get(MARK, ""))

    def _put(self, name: str, path: Path, known: str, advance: Any) -> None:
        with path.open("rb") as stream:
            self._s3.upload_fileobj(
                stream,
                self.name,
                self.prefix + name,
                ExtraArgs={"ChecksumAlgorithm": "SHA256", "Metadata": {MARK: known}},
                Config=self._plan,
                Callback=advance,
            )

    def _get(self, name: str, path: Path, known: str, advance: Any) -> None:
        if Path(name).name != name:
            raise TablesError(f"{self.address}{DESCRIPTOR} names '{name}', which is no file's name. Export again.")
        self._s3.download_file(self.name, self.prefix + name, str(path), Config=self._plan, Callback=advance)
        if _sha256(path) != known:
            raise TablesError(
                f"{self.address}{name} is not the file that {DESCRIPTOR} describes. It was changed, or an export goes "
                "on there: wait for it, or export again."
            )

    def _delete(self, names: list[str]) -> None:
        for name in names:
            self._s3.delete_object(Bucket=self.name, Key=self.prefix + name)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What boto3 raises, in words that end with what to do."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise TablesError(f"{self.address}: {_refused(error, self.name)}") from error
        except (BotoCoreError, Boto3Error, ValueError) as error:
            raise TablesError(f"{self.address}: {_unreached(error)}") from error


def _refused(error: Any, bucket: str) -> str:
    """What S3 answered, and what to do about it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = str(error.response.get("Error", {}).get("Message", "")) or code
    match code:
        case "NoSuchBucket":
            return f"there is no bucket '{bucket}'. Make it, or correct the address."
        case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired":
            return f"the credentials are refused ({said}). Renew them, as with: aws sso login, or aws configure"
        case "AccessDenied" | "403" | "AllAccessDisabled":
            return (
                f"access is denied ({said}). The credentials need s3:ListBucket, GetObject, PutObject and DeleteObject "
                "there; ask whoever keeps the bucket, or choose others with AWS_PROFILE."
            )
        case "PermanentRedirect" | "301" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException":
            return f"the bucket lies in another region ({said}). Set AWS_REGION to it."
        case "PreconditionFailed" | "ConditionalRequestConflict":
            return "another export finished there meanwhile. Give a prefix of its own, or run again."
        case "404" | "NoSuchKey":
            return "a file went away while it was read. Another export goes on there: wait for it, and run again."
        case _:
            return f"S3 answers {code or status} ({said}). Look that up, or run again later."


def _unreached(error: Exception) -> str:
    """What never got to S3, and what to do about it."""
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return (
            f"no credentials ({error}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run: aws "
            "configure"
        )
    if name == "ProfileNotFound":
        return f"{error}. Correct AWS_PROFILE, or add the profile with: aws configure --profile NAME"
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"):
        return f"{error}. Check the network, AWS_ENDPOINT_URL and AWS_REGION."
    if "endpoint" in str(error).lower():
        return f"{error}. Correct AWS_ENDPOINT_URL, such as https://s3.example.org"
    return f"{error}. Correct the address or the settings of AWS, and run again."


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
