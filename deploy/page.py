"""The page of a stage: its files in the bucket behind CloudFront, and the settings by which it signs people in."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy import stacks
from deploy.aws import account, client, explained
from deploy.console import note
from deploy.stage import Stage
from local.gateway.page import CACHE_CONTROL, CONFIG, CONTENT_TYPES, INDEX, content_type
from local.toolchain import ROOT

FOLDER = ROOT / "web"
NEXT_STEP = "look whether your role may use the bucket of the page, and deploy again"


def with_own_url(stage: Stage) -> Stage:
    """Return the stage with the page's URL among those to which its user pool may return after a sign-in.

    CloudFront chooses the URL when it makes the distribution, which needs the API, which needs the pool's client. The
    client can therefore know the URL only from the second deployment of a stack on.
    """
    if stage.parameters.get("JwtIssuer") or stacks.status(stage, stage.stack) is None:
        return stage
    url = stacks.outputs(stage, stage.stack).get("PageUrl")
    if url is None:
        return stage
    given = stage.parameters.get("PageUrls", "http://localhost:3000/").split(",")
    urls = [*(one for one in given if one != url), url]
    return replace(stage, parameters={**stage.parameters, "PageUrls": ",".join(urls)})


def publish(stage: Stage) -> None:
    """Upload the files that differ from those in the bucket. The document comes last, when all that it names is there.

    Raises:
        DeployError: S3 refused.
    """
    bucket = stacks.outputs(stage, stage.stack)["PageBucketName"]
    files = {**_files(FOLDER), CONFIG: _config(stage)}
    with explained("cannot upload the page", NEXT_STEP):
        stored = _stored(stage, bucket)
        wanted = sorted((name for name in files if stored.get(name) != files[name]), key=lambda name: name == INDEX)
        s3 = client("s3", stage.region)
        for name in wanted:
            s3.put_object(
                Bucket=bucket,
                Key=name,
                Body=files[name],
                ContentType=content_type(name),
                CacheControl=CACHE_CONTROL,
                ExpectedBucketOwner=account(stage.region),
            )
        _delete(stage, bucket, set(stored) - set(files))
    note(f"{len(wanted)} of {len(files)} files uploaded")


def empty(stage: Stage) -> None:
    """Delete the files, because CloudFormation deletes no bucket that holds any.

    Raises:
        DeployError: S3 refused.
    """
    _, bucket = stacks.resources(stage, stage.stack).get("PageBucket", ("", ""))
    if bucket:
        with explained("cannot empty the bucket of the page", NEXT_STEP):
            _delete(stage, bucket, set(_stored(stage, bucket)))


def _files(folder: Path) -> Mapping[str, bytes]:
    """Return the contents of the page's files by their path in the page."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in CONTENT_TYPES
    }


def _config(stage: Stage) -> bytes:
    """Return the settings that the page reads when it starts (web/sign-in/session.js)."""
    outputs = stacks.outputs(stage, stage.stack)
    config = {
        "sign_in": "openid",
        "issuer": outputs["Issuer"],
        "client_id": outputs["PageSignInClientId"],
        "scope": stage.parameters.get("JwtScope", ""),
        "audience": stage.parameters.get("JwtAudience", "").partition(",")[0],
    }
    return json.dumps({name: value for name, value in config.items() if value}).encode()


def _stored(stage: Stage, bucket: str) -> Mapping[str, bytes]:
    """Return the files in the bucket. They are few and small, so they are read instead of compared by digests."""
    s3 = client("s3", stage.region)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, ExpectedBucketOwner=account(stage.region))
    names = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {name: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


def _delete(stage: Stage, bucket: str, names: set[str]) -> None:
    if names:
        client("s3", stage.region).delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": name} for name in sorted(names)]},
            ExpectedBucketOwner=account(stage.region),
        )
