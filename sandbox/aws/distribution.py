"""The registries of the embedded AWS, as clients of images meet them: the OCI distribution protocol.

Who does what was a choice. The protocol and the bytes are crane's registry, a kept implementation, built
by sandbox/toolchain in seconds; what an image repository holds, and what may be done to it, is ECR's
alone. So this module stands between the two as a thin front: it turns each request of the protocol
into the call of ECR's API that Amazon names for it ("Amazon ECR information in CloudTrail"), made with the
credentials of whoever logged in. Whatever the embedded AWS decides about that call, permissions,
throttling, immutable tags, archived images, holds for a push or a pull as well, and stands in its journal;
there is no second place for a rule. Then the request goes on to crane's registry.

Owns the front's ports, the process of crane's registry and a certificate authority. Reads the
embedded AWS through its API, and the bytes that the API was given. Never listens on anything but
loopback, and lets nothing through to any other host.

A registry has two addresses. One is its real one, ACCOUNT.dkr.ecr.REGION.amazonaws.com, for clients that
have `Distribution.variables` in their environment: those lead them through a proxy, here, and let them
trust its certificates. The other is a port of the loopback interface, where clients accept HTTP.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.wsgi import get_input_stream

from sandbox.aws.certificates import Authority
from sandbox.aws.loopback import Handler, LoopbackServer, serving
from sandbox.aws.pushing import Login, downloadable, layer_of, login_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self
    from wsgiref.types import StartResponse, WSGIEnvironment

    from mypy_boto3_ecr import ECRClient

_HOST: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
)
_BUCKET: Final = re.compile(
    r"prod-(?P<region>[a-z0-9-]+)-starport-layer-bucket\.s3\.(?P=region)\.amazonaws\.com"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ROUTES: Final = tuple(
    (method, re.compile(rf"/v2/(?P<name>.+?)/{path}"))
    for method, path in (
        ("start", r"blobs/uploads/?"),
        ("upload", r"blobs/uploads/(?P<reference>[^/]+)"),
        ("blob", r"blobs/(?P<reference>[^/]+)"),
        ("manifest", r"manifests/(?P<reference>[^/]+)"),
        ("tags", r"tags/list"),
        ("referrers", r"referrers/(?P<reference>[^/]+)"),
    )
)
_PART: Final = 10 * 1024 * 1024
"""Bytes of one part of a layer: what InitiateLayerUpload answers as partSize."""

_PIECE: Final = 64 * 1024
_HOPS: Final = frozenset(
    {"Date", "Connection", "Transfer-Encoding", "Docker-Distribution-Api-Version"}
)
_INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)

_CODES: Final = {
    "AccessDeniedException": (HTTPStatus.FORBIDDEN, "DENIED"),
    "ImageNotFoundException": (HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN"),
    "ImageTagAlreadyExistsException": (HTTPStatus.BAD_REQUEST, "TAG_INVALID"),
    "ImageDigestDoesNotMatchException": (HTTPStatus.BAD_REQUEST, "DIGEST_INVALID"),
    "InvalidLayerException": (HTTPStatus.BAD_REQUEST, "DIGEST_INVALID"),
    "LayersNotFoundException": (HTTPStatus.NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
    "LimitExceededException": (HTTPStatus.FORBIDDEN, "DENIED"),
    "ReferencedImagesNotFoundException": (HTTPStatus.NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
    "RepositoryNotFoundException": (HTTPStatus.NOT_FOUND, "NAME_UNKNOWN"),
    "ThrottlingException": (HTTPStatus.TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
    "UnrecognizedClientException": (HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED"),
    "ExpiredTokenException": (HTTPStatus.FORBIDDEN, "DENIED"),
}
"""What ECR's errors are in the protocol (OCI Distribution Specification, "Error Codes").

TAG_INVALID is what clients of ECR report for a tag that may not move (osscontainertools/kaniko#204), and
NAME_UNKNOWN what they report for an image repository that is not there.
"""


@dataclass(frozen=True, slots=True)
class _Refused(Exception):  # noqa: N818 - it is an answer, and no fault of this program
    """An answer of the protocol that is an error."""

    status: HTTPStatus
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of the protocol."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request: by whom, of which registry, and for what."""

    login: Login
    account: str
    name: str
    reference: str
    environ: WSGIEnvironment
    ecr: ECRClient

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @property
    def query(self) -> dict[str, str]:
        fields = parse_qs(self.environ.get("QUERY_STRING", ""), keep_blank_values=True)
        return {name: values[0] for name, values in fields.items()}

    @property
    def room(self) -> str:
        """Where crane's registry keeps this image repository: one has room for all registries."""
        return f"/v2/{self.account}/{self.login.region}/{self.name}"

    @property
    def repository(self) -> dict[str, Any]:
        """The parameters of ECR's API that name it."""
        return {"registryId": self.account, "repositoryName": self.name}

    def body(self) -> bytes:
        return get_input_stream(self.environ).read()


class Distribution:
    """Context manager: all registries of the embedded AWS at `aws`, an URL, by the OCI protocol.

    ``registry`` is the program of crane's registry (`sandbox.toolchain.tools.REGISTRY`).
    ``secret_of`` gives the secret of an access key, to sign with it; an embedded AWS that checks no
    signatures needs none. ``clock`` is the time, in seconds since 1970, by which tokens expire.
    """

    def __init__(
        self,
        aws: str,
        registry: Path,
        *,
        secret_of: Callable[[str], str] = lambda _: "not checked",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._aws, self._binary, self._clock = aws, registry, clock
        self._secret_of = secret_of
        self._running = ExitStack()
        self._ports: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._uploads: dict[str, str] = {}
        self._session = boto3.Session()
        self._client = lru_cache(maxsize=None)(self._new_client)

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            folder = Path(starting.enter_context(tempfile.TemporaryDirectory()))
            process = starting.enter_context(
                subprocess.Popen(
                    [self._binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            # It ends when its input does; so it does too if this process is killed.
            assert process.stdin, process.stdout  # noqa: S101 - both were asked for
            starting.callback(process.stdin.close)
            self._bytes = process.stdout.readline().strip()  # type: ignore[union-attr]
            self.authority = Authority(folder)
            self._proxy = starting.enter_context(
                serving(LoopbackServer(self._app(None), _proxy(self.authority)), "registries")
            )
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ports.clear()
        self._running.close()

    @property
    def variables(self) -> dict[str, str]:
        """What leads a client to the registries by their real addresses, in its environment."""
        return {
            "HTTPS_PROXY": f"http://{self._proxy}",
            "SSL_CERT_FILE": str(self.authority.file),
        }

    def address(self, account: str, region: str) -> str:
        """Return the registry's address on loopback, HOST:PORT, where it speaks HTTP."""
        with self._lock:
            if (account, region) not in self._ports:
                server = LoopbackServer(self._app((account, region)))
                self._ports[account, region] = self._running.enter_context(
                    serving(server, f"registry {account}/{region}")
                )
            return self._ports[account, region]

    def _app(
        self, fixed: tuple[str, str] | None
    ) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            try:
                answer = self._answer(environ, fixed)
            except _Refused as refused:
                answer = _error(refused)
            headers = [*answer.headers, ("Docker-Distribution-Api-Version", "registry/2.0")]
            start_response(f"{answer.status.value} {answer.status.phrase}", headers)
            return [answer.body]

        return app

    def _answer(self, environ: WSGIEnvironment, fixed: tuple[str, str] | None) -> _Answer:
        host = environ.get("HTTP_HOST", "")
        if fixed is None and _BUCKET.fullmatch(host):
            return self._download(environ)
        registry = fixed or _registry(host)
        if registry is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", "this host is no registry")
        account, region = registry
        login = self._login(environ, region)
        path = environ["PATH_INFO"]
        if path in {"/v2", "/v2/"}:
            return _Answer(HTTPStatus.OK, (("Content-Length", "2"),), b"{}")
        for kind, route in _ROUTES:
            if found := route.fullmatch(path):
                asked = _Asked(
                    login,
                    account,
                    found["name"],
                    found.groupdict().get("reference", ""),
                    environ,
                    self._client(login),
                )
                try:
                    answer: _Answer = getattr(self, f"_{kind}")(asked)
                except ClientError as refused:
                    raise _translated(refused) from refused
                return answer
        raise _unsupported(environ)

    def _login(self, environ: WSGIEnvironment, region: str) -> Login:
        """Return who asks; raise what ECR answers to nobody, or by a token that is none any more.

        Amazon ECR User Guide, "Private registry authentication in Amazon ECR": a token is the password
        of the user AWS, and is of the Region that it was asked for in.
        """
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        login = login_of(password) if (scheme.lower(), user) == ("basic", "AWS") else None
        if login is None or login.region != region:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", "Not Authorized")
        if login.expires <= self._clock():
            raise _Refused(
                HTTPStatus.FORBIDDEN,
                "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.",
            )
        return login

    def _new_client(self, login: Login) -> ECRClient:
        with self._lock:  # a boto3 session is not made for threads, its clients are
            return self._session.client(
                "ecr",
                region_name=login.region,
                endpoint_url=self._aws,
                aws_access_key_id=login.key,
                aws_secret_access_key=self._secret_of(login.key),
                aws_session_token=login.session or None,
                config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
            )

    # Each of the following answers one route of the protocol.

    def _start(self, asked: _Asked) -> _Answer:
        """POST /v2/NAME/blobs/uploads/: InitiateLayerUpload.

        A mount is not answered with a layer that is there already: BLOB_MOUNTING is off unless an account
        turns it on, and the specification lets a registry start an upload instead.
        """
        if asked.method != "POST":
            raise _unsupported(asked.environ)
        upload = asked.ecr.initiate_layer_upload(**asked.repository)["uploadId"]
        digest = asked.query.get("digest", "")
        query = f"?{urlencode({'digest': digest})}" if digest else ""
        answer = self._forward(asked, "POST", f"{asked.room}/blobs/uploads/{query}", sends=True)
        if answer.status == HTTPStatus.CREATED:
            self._complete(asked, upload, digest)
        elif answer.status == HTTPStatus.ACCEPTED:
            started = dict(answer.headers)["Location"].rpartition("/")[2]
            self._uploads[f"{asked.room} {started}"] = upload
        return answer

    def _upload(self, asked: _Asked) -> _Answer:
        """PATCH and PUT /v2/NAME/blobs/uploads/ID: UploadLayerPart and CompleteLayerUpload."""
        upload = self._uploads.get(f"{asked.room} {asked.reference}")
        if upload is None:
            raise _Refused(
                HTTPStatus.NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", f"there is no upload {asked.reference}"
            )
        if asked.method not in {"PATCH", "PUT"}:
            raise _unsupported(asked.environ)
        digest = asked.query.get("digest", "")
        query = f"?{urlencode({'digest': digest})}" if digest else ""
        path = f"{asked.room}/blobs/uploads/{asked.reference}{query}"
        answer = self._forward(asked, asked.method, path, sends=True)
        if answer.status == HTTPStatus.CREATED:
            self._complete(asked, upload, digest)
            del self._uploads[f"{asked.room} {asked.reference}"]
        return answer

    def _complete(self, asked: _Asked, upload: str, digest: str) -> None:
        """Return ECR the layer that crane's registry has taken and checked."""
        content = self._forward(asked, "GET", f"{asked.room}/blobs/{digest}").body
        about: Any = {**asked.repository, "uploadId": upload}
        for start in range(0, len(content), _PART):
            part = content[start : start + _PART]
            asked.ecr.upload_layer_part(
                **about,
                partFirstByte=start,
                partLastByte=start + len(part) - 1,
                layerPartBlob=part,
            )
        try:
            asked.ecr.complete_layer_upload(**about, layerDigests=[digest])
        except ClientError as refused:
            if refused.response["Error"]["Code"] != "LayerAlreadyExistsException":
                raise

    def _blob(self, asked: _Asked) -> _Answer:
        """HEAD and GET /v2/NAME/blobs/DIGEST: BatchCheckLayerAvailability, GetDownloadUrlForLayer."""
        if asked.method not in {"HEAD", "GET"}:
            raise _unsupported(asked.environ)
        digest = asked.reference
        if self._missing(asked, [digest]):
            raise _Refused(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"there is no blob {digest}")
        if asked.method == "GET":
            got = asked.ecr.get_download_url_for_layer(**asked.repository, layerDigest=digest)
            if _registry(asked.environ["HTTP_HOST"]):
                headers = (("Location", got["downloadUrl"]), ("Content-Length", "0"))
                return _Answer(HTTPStatus.TEMPORARY_REDIRECT, headers)
        return self._layer(asked.environ, digest)

    def _layer(self, environ: WSGIEnvironment, digest: str) -> _Answer:
        """Return a layer that is there, which may have come through the API."""
        path, passed = f"/v2/any/blobs/{digest}", _passed(environ, "Range")
        answer = self._send(environ["REQUEST_METHOD"], path, headers=passed)
        content = layer_of(digest) if answer.status == HTTPStatus.NOT_FOUND else None
        if content is None:
            return answer
        self._send("POST", f"/v2/any/blobs/uploads/?digest={digest}", content, headers={})
        return self._send(environ["REQUEST_METHOD"], path, headers=passed)

    def _download(self, environ: WSGIEnvironment) -> _Answer:
        """Answer as the bucket does in which ECR keeps layers, to whoever has a URL of it."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        digest = environ["PATH_INFO"][1:]
        expires, signature = (query.get(name, ["0"])[0] for name in ("expires", "signature"))
        valid = downloadable(digest, expires, signature, self._clock())
        if environ["REQUEST_METHOD"] != "GET" or not valid:
            raise _Refused(HTTPStatus.FORBIDDEN, "DENIED", "the URL is not valid, or not any more")
        return self._layer(environ, digest)

    def _missing(self, asked: _Asked, digests: list[str]) -> list[str]:
        found = asked.ecr.batch_check_layer_availability(
            **asked.repository,
            layerDigests=digests,
        )
        return [each["layerDigest"] for each in found["failures"]]

    def _manifest(self, asked: _Asked) -> _Answer:
        """HEAD, GET and PUT /v2/NAME/manifests/REFERENCE: BatchGetImage and PutImage.

        ECR deletes images by BatchDeleteImage alone; whether it takes DELETE is said nowhere, so it is
        refused.
        """
        match asked.method:
            case "HEAD" | "GET":
                return self._pull(asked)
            case "PUT":
                return self._push(asked)
        raise _unsupported(asked.environ)

    def _pull(self, asked: _Asked) -> _Answer:
        by_digest = _DIGEST.fullmatch(asked.reference)
        image: Any = {"imageDigest" if by_digest else "imageTag": asked.reference}
        got = asked.ecr.batch_get_image(**asked.repository, imageIds=[image])
        if not got["images"]:
            why = got["failures"][0].get("failureReason", "")
            raise _Refused(
                HTTPStatus.NOT_FOUND,
                "MANIFEST_UNKNOWN",
                f"{why}: {asked.reference} in '{asked.name}'",
            )
        found = got["images"][0]
        path = f"{asked.room}/manifests/{found['imageId']['imageDigest']}"
        answer = self._forward(asked, asked.method, path)
        if answer.status != HTTPStatus.NOT_FOUND:
            return answer
        self._bring(asked, found["imageManifest"].encode(), found["imageManifestMediaType"])
        return self._forward(asked, asked.method, path)

    def _bring(self, asked: _Asked, content: bytes, media_type: str) -> None:
        """Return crane's registry an image that came through the API or by replication."""
        for digest in _children(content, media_type):
            got = asked.ecr.batch_get_image(
                **asked.repository,
                imageIds=[{"imageDigest": digest}],
            )
            for each in got["images"]:
                self._bring(asked, each["imageManifest"].encode(), each["imageManifestMediaType"])
        self._keep(asked, content, media_type)

    def _keep(self, asked: _Asked, content: bytes, media_type: str) -> str:
        """Let crane's registry take a manifest, under its digest; return that."""
        answer = self._send(
            "PUT",
            f"{asked.room}/manifests/untagged",
            content,
            headers={"Content-Type": media_type},
        )
        headers = dict(answer.headers)
        if answer.status != HTTPStatus.CREATED:
            (error,) = json.loads(answer.body)["errors"]
            raise _Refused(answer.status, error["code"], error["message"])
        return headers["Docker-Content-Digest"]

    def _push(self, asked: _Asked) -> _Answer:
        content = asked.body()
        media_type = asked.environ.get("CONTENT_TYPE", "")
        try:
            blobs = _blobs(content)
            children = _children(content, media_type)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise _Refused(
                HTTPStatus.BAD_REQUEST, "MANIFEST_INVALID", "the manifest cannot be read"
            ) from problem
        if blobs and (missing := self._missing(asked, blobs)):
            raise _Refused(
                HTTPStatus.NOT_FOUND,
                "MANIFEST_BLOB_UNKNOWN",
                f"not in '{asked.name}': {', '.join(missing)}",
            )
        for digest in children:
            got = asked.ecr.batch_get_image(
                **asked.repository,
                imageIds=[{"imageDigest": digest}],
            )
            for each in got["images"]:
                self._bring(asked, each["imageManifest"].encode(), each["imageManifestMediaType"])
        digest = self._keep(asked, content, media_type)
        by_digest = bool(_DIGEST.fullmatch(asked.reference))
        if by_digest and asked.reference != digest:
            raise _Refused(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the manifest's is {digest}")
        tag: Any = {} if by_digest else {"imageTag": asked.reference}
        try:
            asked.ecr.put_image(
                **asked.repository,
                **tag,
                imageManifest=content.decode(),
                imageManifestMediaType=media_type,
                imageDigest=digest,
            )
        except ClientError as refused:
            # A client that pushes an image again is content; the API says that nothing has changed.
            if refused.response["Error"]["Code"] != "ImageAlreadyExistsException":
                raise
        headers = [
            ("Location", f"/v2/{asked.name}/manifests/{digest}"),
            ("Docker-Content-Digest", digest),
            ("Content-Length", "0"),
        ]
        if subject := json.loads(content).get("subject"):
            headers.append(("OCI-Subject", subject["digest"]))
        return _Answer(HTTPStatus.CREATED, tuple(headers))

    def _tags(self, asked: _Asked) -> _Answer:
        """GET /v2/NAME/tags/list: ListImages, in the order of the tags."""
        pages = asked.ecr.get_paginator("list_images").paginate(
            **asked.repository,
            filter={"tagStatus": "TAGGED"},
        )
        tags = sorted(each["imageTag"] for page in pages for each in page["imageIds"])
        tags = [each for each in tags if each > asked.query.get("last", "")]
        most = int(asked.query.get("n", len(tags)))
        links = []
        if most < len(tags):
            tags = tags[:most]
            after = urlencode({"n": most, "last": tags[-1]}) if tags else urlencode({"n": most})
            links.append(("Link", f'</v2/{asked.name}/tags/list?{after}>; rel="next"'))
        return _json({"name": asked.name, "tags": tags}, "application/json", *links)

    def _referrers(self, asked: _Asked) -> _Answer:
        """GET /v2/NAME/referrers/DIGEST: ListImageReferrers."""
        if asked.method != "GET":
            raise _unsupported(asked.environ)
        about: dict[str, Any] = {"subjectId": {"imageDigest": asked.reference}}
        wanted = asked.query.get("artifactType")
        if wanted:
            about["filter"] = {"artifactTypes": [wanted]}
        found: list[Any] = []
        while True:
            answer = asked.ecr.list_image_referrers(**asked.repository, **about)
            found += answer["referrers"]
            if not answer.get("nextToken"):
                break
            about["nextToken"] = answer["nextToken"]
        members = ("mediaType", "digest", "size", "artifactType", "annotations")
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {member: each[member] for member in members if each.get(member)} for each in found
            ],
        }
        filtered = [("OCI-Filters-Applied", "artifactType")] if wanted else []
        return _json(index, "application/vnd.oci.image.index.v1+json", *filtered)

    def _forward(self, asked: _Asked, method: str, path: str, *, sends: bool = False) -> _Answer:
        """Let crane's registry answer, with the request's own body if it sends one."""
        environ = asked.environ
        passed = _passed(environ, "Range")
        if not sends:
            return self._send(method, path, headers=passed, room=asked)
        passed |= _passed(environ, "Content-Range")
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        if chunked:
            passed["Transfer-Encoding"] = "chunked"
        else:
            passed["Content-Length"] = environ.get("CONTENT_LENGTH") or "0"
        body = _pieces(get_input_stream(environ))
        return self._send(method, path, body, headers=passed, room=asked)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        *,
        headers: dict[str, str],
        room: _Asked | None = None,
    ) -> _Answer:
        """Return crane's answer, with its own name for the image repository put back."""
        connection = http.client.HTTPConnection(self._bytes)
        chunked = "Transfer-Encoding" in headers
        with closing(connection):
            connection.request(method, path, body, headers, encode_chunked=chunked)
            with connection.getresponse() as response:
                content = response.read()
        given = dict(response.getheaders())
        if room and "Location" in given:
            given["Location"] = given["Location"].replace(room.room, f"/v2/{room.name}", 1)
        kept = tuple((name, value) for name, value in given.items() if name not in _HOPS)
        return _Answer(HTTPStatus(response.status), kept, content)


def _passed(environ: WSGIEnvironment, name: str) -> dict[str, str]:
    value = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
    return {name: value} if value else {}


def _registry(host: str) -> tuple[str, str] | None:
    found = _HOST.fullmatch(host.removesuffix(":443"))
    return (found["account"], found["region"]) if found else None


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _blobs(content: bytes) -> list[str]:
    """Return the digests of what an image's manifest is made of, but for what lies elsewhere."""
    manifest = json.loads(content)
    parts = [*([manifest["config"]] if "config" in manifest else []), *manifest.get("layers", [])]
    return [each["digest"] for each in parts if not each.get("urls")]


def _children(content: bytes, media_type: str) -> list[str]:
    """Return the digests of the images that an index lists."""
    if media_type not in _INDEXES:
        return []
    return [each["digest"] for each in json.loads(content)["manifests"]]


def _json(value: object, media_type: str, *headers: tuple[str, str]) -> _Answer:
    body = json.dumps(value).encode()
    about = (("Content-Type", media_type), ("Content-Length", str(len(body))))
    return _Answer(HTTPStatus.OK, (*about, *headers), body)


def _error(refused: _Refused) -> _Answer:
    challenge = []
    if refused.status == HTTPStatus.UNAUTHORIZED:
        challenge = [("WWW-Authenticate", 'Basic realm="https://ecr/",service="ecr.amazonaws.com"')]
    error = {"errors": [{"code": refused.code, "message": refused.message}]}
    answer = _json(error, "application/json", *challenge)
    return _Answer(refused.status, answer.headers, answer.body)


def _unsupported(environ: WSGIEnvironment) -> _Refused:
    what = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", f"{what} is not supported")


def _translated(refused: ClientError) -> _Refused:
    error = refused.response["Error"]
    usual = (HTTPStatus.BAD_REQUEST, "UNSUPPORTED")
    if refused.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        usual = (HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN")
    status, code = _CODES.get(error["Code"], usual)
    return _Refused(status, code, error["Message"])


def _proxy(authority: Authority) -> type[Handler]:
    """Make a handler that lets a client speak TLS with the registry that it names, and none else."""

    class Proxy(Handler):
        def do_CONNECT(self) -> None:  # noqa: N802 - the method's name, as http.server looks it up
            host, _, port = self.path.rpartition(":")
            known = _registry(host) or _BUCKET.fullmatch(host)
            if not known or port != "443":
                self.send_error(HTTPStatus.FORBIDDEN, "the embedded AWS leads to registries only")
                return
            self.send_response_only(HTTPStatus.OK, "Connection established")
            self.end_headers()
            self.close_connection = False  # some ask by HTTP/1.0, and mean to go on
            self.connection = authority.context(host).wrap_socket(self.connection, server_side=True)
            server: Any = self.server
            server.remember(self.connection)
            self.rfile = self.connection.makefile("rb", -1)
            self.wfile = self.connection.makefile("wb")

        def finish(self) -> None:
            super().finish()
            # The server closes the connection that it accepted; the session around it is another.
            if self.connection is not self.request:
                self.connection.close()

    return Proxy
