"""A role by web identity: a token in a file, which STS exchanges for keys. obstore asks one STS only, that of AWS."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from loaders.errors import StorageError
from loaders.stores.saying import TransientError

if TYPE_CHECKING:
    from obstore.store import S3Credential

_LOOK_AGAIN_S = 600.0
"""How long keys are used before they are looked up again; obstore asks five minutes before."""

_ANSWER_S = 10.0
_ANSWER_BYTES = 1 << 16
_VALUE = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>([^<]+)</")


def credential(key: str, secret: str, token: str | None, until: str | None = None) -> S3Credential:
    """Return keys as obstore takes them; `until` is a time in ISO 8601, None for keys that do not end."""
    later = datetime.now(UTC) + timedelta(seconds=_LOOK_AGAIN_S)
    ends = later if until is None else min(later, datetime.fromisoformat(until).astimezone(UTC))
    return {"access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": ends}


def of_web_identity(settings: Mapping[str, str], region: str, *, before: str = "") -> S3Credential:
    """Return the keys that STS gives for a token.

    Args:
        settings: Of the environment or of a profile: role_arn, web_identity_token_file, role_session_name.
        region: Whose STS is asked, unless `AWS_ENDPOINT_URL_STS` names another.
        before: What the names of the settings begin with; they are in capitals then.

    Raises:
        StorageError: If a setting is missing, the token cannot be read, or STS refuses.
        TransientError: If STS cannot be reached.
    """

    def setting(name: str) -> str | None:
        return settings.get(before + name.upper() if before else name)

    role, file = setting("role_arn"), setting("web_identity_token_file")
    if not role or not file:
        raise StorageError("a web identity needs AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE")
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StorageError(f"the token of the web identity, {file}, cannot be read: {error.strerror}") from None
    asked = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role, "WebIdentityToken": token,
             "RoleSessionName": setting("role_session_name") or "petrel"}  # fmt: skip
    url = os.environ.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"
    try:
        with urllib.request.urlopen(url, urlencode(asked).encode(), timeout=_ANSWER_S) as answer:
            found = dict(_VALUE.findall(answer.read(_ANSWER_BYTES).decode("utf-8", "replace")))
        return credential(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], found["Expiration"])
    except urllib.error.HTTPError as error:
        error.close()
        kind = StorageError if error.code < 500 else TransientError
        raise kind(f"STS answered {error.code} for the role {role}") from None
    except Exception as error:  # an answer that is cut or no answer of STS: no word of it is told
        raise TransientError(f"STS gave no keys for the role {role}: {type(error).__name__}") from None
