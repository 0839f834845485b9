"""How Spark reaches the bucket of a lake: Hadoop's S3A, with the same settings as obstore and the same keys.

All settings are those of one bucket (`fs.s3a.bucket.NAME.*`), so that others which the session reads keep theirs. No
key is among them: where keys are in the environment a setting names the variables, `${env.AWS_ACCESS_KEY_ID}`, which
every process of Spark looks up in its own environment (`org.apache.hadoop.conf.Configuration`). Otherwise a provider
is named that finds them: a profile, a web identity, a role. See
https://hadoop.apache.org/docs/current/hadoop-aws/tools/hadoop-aws/authentication.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakehouse.config import StoreConfig
from lakehouse.errors import ConfigError, EnvironmentProblemError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILE_SYSTEM = "org.apache.hadoop.fs.s3a.S3AFileSystem"
SCHEMES = ("s3", "s3a")

HADOOP = "org.apache.hadoop.fs.s3a."
ANONYMOUS = HADOOP + "AnonymousAWSCredentialsProvider"
KEYS = HADOOP + "SimpleAWSCredentialsProvider"
KEYS_OF_SESSION = HADOOP + "TemporaryAWSCredentialsProvider"
PROFILE = HADOOP + "auth.ProfileAWSCredentialsProvider"
ROLE = HADOOP + "auth.IAMInstanceCredentialsProvider"
WEB_IDENTITY = "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider"


def s3a_url(url: str) -> str:
    """Return an address in a bucket as Spark takes it.

    Raises:
        ConfigError: If it is in a bucket of another kind than S3.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ConfigError(
            f"{url}: a Spark cluster reads lakes in s3:// alone; run Spark on one machine (--master local[*]), or use "
            "the embedded engine"
        )
    return f"s3a://{rest}"


def s3a_settings(url: str, store: StoreConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return Hadoop's settings for the bucket of a URL; they hold no key.

    Args:
        url: `s3://bucket/lake`.
        store: How the bucket is reached.
        environ: Environment of the driver; that of the executors must have the same variables for the keys.

    Raises:
        ConfigError: If the bucket is of another kind.
    """
    bucket = s3a_url(url).removeprefix("s3a://").partition("/")[0]
    endpoint = store.endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
    region = store.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    settings = {
        "endpoint.region": region,
        "attempts.maximum": "3",  # of the SDK; what it gives up Hadoop tries again, with a growing pause
        "retry.limit": "4",
        "connection.establish.timeout": "5s",
        **_keys(store, environ),
    }
    if endpoint:
        full = endpoint if "://" in endpoint else f"https://{endpoint}"
        secure = str(not full.startswith("http://")).lower()
        settings |= {"endpoint": full.rstrip("/"), "path.style.access": "true", "connection.ssl.enabled": secure}
    return {f"fs.s3a.bucket.{bucket}.{name}": value for name, value in settings.items()}


def reach(session: SparkSession, url: str, store: StoreConfig, environ: Mapping[str, str]) -> None:
    """Let a running session reach the bucket of a URL.

    Raises:
        ConfigError: As `s3a_settings`.
        EnvironmentProblemError: If the session was started without the archives of `s3a://`.
    """
    settings = s3a_settings(url, store, environ)
    try:
        loader = session._jvm.java.lang.Thread.currentThread().getContextClassLoader()  # type: ignore[union-attr]
        session._jvm.java.lang.Class.forName(FILE_SYSTEM, False, loader)  # type: ignore[union-attr]
    except Exception as error:
        raise EnvironmentProblemError(
            f"{url}: this Spark session cannot read s3a://; start the program with: ./spark-submit.sh --s3 <script>"
        ) from error
    hadoop = session._jsc.hadoopConfiguration()
    for name, value in settings.items():
        hadoop.set(name, value)


def _keys(store: StoreConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return who asks, in the order in which `loaders.stores.aws_keys` looks for it."""
    if store.anonymous:
        return {"aws.credentials.provider": ANONYMOUS}
    profile = store.profile or ("" if store.keys_from else environ.get("AWS_PROFILE", ""))
    prefix = store.keys_from or ("AWS" if environ.get("AWS_ACCESS_KEY_ID") and not store.profile else "")
    if prefix:
        named = {"access.key": f"{prefix}_ACCESS_KEY_ID", "secret.key": f"{prefix}_SECRET_ACCESS_KEY"}
        token = f"{prefix}_SESSION_TOKEN"
        if environ.get(token):
            named["session.token"] = token
        provider = KEYS_OF_SESSION if "session.token" in named else KEYS
        return {
            "aws.credentials.provider": provider, **{key: f"${{env.{variable}}}" for key, variable in named.items()}
        }  # fmt: skip
    if not store.profile and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return {"aws.credentials.provider": WEB_IDENTITY}
    if profile:
        return {"aws.credentials.provider": PROFILE, "auth.profile.name": profile}
    return {"aws.credentials.provider": ROLE}
