"""Upload a build to S3, where CloudFormation and Lambda read it.

An archive is named after a digest of what is in it, and made only if the bucket does not hold it yet. The same build is
therefore uploaded once, however often and to however many stages of the account it is deployed.
"""

import hashlib
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from botocore.exceptions import ClientError

from deploy.aws import account, client, code_of, explained
from deploy.console import note
from deploy.stage import Stage
from deploy.stamp import content_digest, files

KEPT_DAYS = 90
"""Lambda keeps copies of its own, so the bucket needs an archive only while it is deployed."""
_LOCAL_PATH = re.compile(r"^( *(?:CodeUri|ContentUri): )(\S+)$", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a zip file; with the same time for all files the same build gives the same archive."""


def bucket_name(stage: Stage) -> str:
    """Return the name of the bucket, one for all stages of an account in a region."""
    return f"taskchat-artifacts-{account(stage.region)}-{stage.region}"


def upload(stage: Stage, template: Path) -> str:
    """Upload the folders that a built template names, then the template with their addresses; return its URL.

    Raises:
        DeployError: S3 refused.
    """
    bucket = bucket_name(stage)
    text = template.read_text(encoding="utf-8")
    folders = {match[2] for match in _LOCAL_PATH.finditer(text)}
    with explained("cannot upload the build", "look whether your role may use the bucket " + bucket):
        _make_bucket(stage, bucket)
        with ThreadPoolExecutor() as pool:
            addresses = dict(
                zip(
                    folders, pool.map(lambda name: _upload(stage, bucket, template.parent / name), folders), strict=True
                )
            )
        text = _LOCAL_PATH.sub(lambda match: match[1] + addresses[match[2]], text)
        content = text.encode()
        key = f"{stage.stack}/{hashlib.sha256(content).hexdigest()}.yaml"
        s3 = client("s3", stage.region)
        s3.put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=account(stage.region))
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _upload(stage: Stage, bucket: str, folder: Path) -> str:
    """Upload a folder as an archive, unless it is there; return its address."""
    key = f"code/{content_digest(folder)}.zip"
    s3, owner = client("s3", stage.region), account(stage.region)
    try:
        s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if code_of(error) not in {"404", "NoSuchKey"}:
            raise
        with TemporaryFile() as archive:
            _pack(folder, archive)
            size = archive.tell()
            archive.seek(0)
            s3.upload_fileobj(archive, bucket, key, ExtraArgs={"ExpectedBucketOwner": owner})
        note(f"uploaded {folder.name}, {size / 1e6:.1f} MB")
    return f"s3://{bucket}/{key}"


def _pack(folder: Path, archive: IO[bytes]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, path in files(folder):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Readable for Lambda's own user; compiled modules need no execute bit.
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, Path(path).read_bytes())


def _make_bucket(stage: Stage, bucket: str) -> None:
    s3, owner = client("s3", stage.region), account(stage.region)
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if code_of(error) not in {"404", "NoSuchBucket"}:
            raise
    else:
        return
    note(f"making the bucket {bucket}")
    place = {} if stage.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": stage.region}}
    s3.create_bucket(Bucket=bucket, **place)
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": KEPT_DAYS}}
            ]
        },
    )
