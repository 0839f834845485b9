"""Keys for S3 from where AWS's own tools find them, in their order: environment, web identity, profile, role.

obstore knows the roles of a container and an instance. Added here: profiles of `~/.aws`, web identities by whichever
STS is named, and keys that are looked up again, because a process that lives long may get new ones.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loaders.errors import FormatError, StorageError
from loaders.stores.aws_web_identity import credential, of_web_identity

if TYPE_CHECKING:
    from obstore.store import S3Credential

_COMMAND_S = 60.0


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What says who asks.

    Attributes:
        provider: Returns the keys of now; None leaves it to obstore.
        region: Region of the profile, None if it has none.
    """

    provider: Callable[[], S3Credential] | None = None
    region: str | None = None


def aws_keys(*, profile_name: str = "", keys_from: str = "") -> AwsKeys:
    """Find out where the keys come from.

    Args:
        profile_name: A profile whose keys are taken, whatever the environment says; "" takes AWS's own order.
        keys_from: The keys are in `<keys_from>_ACCESS_KEY_ID`, `<keys_from>_SECRET_ACCESS_KEY` and, if there is one,
            `<keys_from>_SESSION_TOKEN` of the environment; "" takes AWS's own order.

    Raises:
        FormatError: If there is no profile of that name (or of `AWS_PROFILE`), its kind is not understood, or the
            environment lacks the keys that `keys_from` names.
    """
    if keys_from:
        if missing := [name for name in _names(keys_from)[:2] if not os.environ.get(name)]:
            raise FormatError(f"keys_from = {keys_from!r}: the environment has no {' and no '.join(missing)}; set it")
        return AwsKeys(lambda: _of_environment(keys_from))
    profile = _profile(profile_name)
    region = profile.get("region")
    if profile_name:
        pass
    elif os.environ.get("AWS_ACCESS_KEY_ID"):
        return AwsKeys(lambda: _of_environment("AWS"), region=region)
    elif os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return AwsKeys(lambda: of_web_identity(os.environ, region or "us-east-1", before="AWS_"), region=region)
    if "web_identity_token_file" in profile:
        return AwsKeys(lambda: of_web_identity(profile, region or "us-east-1"), region=region)
    if "credential_process" in profile:
        return AwsKeys(lambda: _of_command(profile["credential_process"]), region=region)
    if "aws_access_key_id" in profile:
        return AwsKeys(lambda: _of_profile(_profile(profile_name)), region=region)
    if odd := sorted({"source_profile", "sso_session", "sso_start_url", "credential_source"} & set(profile)):
        name = profile_name or os.environ.get("AWS_PROFILE") or "default"
        raise FormatError(
            f"the AWS profile {name} gets its keys by {', '.join(odd)}, which is not understood; write into it "
            f"credential_process = aws configure export-credentials --profile {name} --format process, under a new name"
        )
    return AwsKeys(region=region)  # a role of the container or the instance: obstore asks for it


def _profile(named: str) -> dict[str, str]:
    """Return the settings of the profile that is chosen; none if none was chosen and there is no default one."""
    chosen = named or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    name = chosen or "default"
    found: dict[str, str] = {}
    for variable, file, section in [
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ]:
        path = Path(os.environ.get(variable) or f"~/.aws/{file}").expanduser()
        parser = ConfigParser(interpolation=None, default_section="\0", strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        except (ConfigParserError, UnicodeDecodeError) as error:
            raise FormatError(f"{path} is no file of AWS profiles: {type(error).__name__}") from None
        if parser.has_section(section):
            found |= dict(parser[section])
    if chosen and not found:
        source = "profile" if named else "AWS_PROFILE"
        raise FormatError(f"{source} names {chosen}, which is neither in ~/.aws/config nor in ~/.aws/credentials")
    return found


def _names(prefix: str) -> tuple[str, str, str]:
    return f"{prefix}_ACCESS_KEY_ID", f"{prefix}_SECRET_ACCESS_KEY", f"{prefix}_SESSION_TOKEN"


def _of_environment(prefix: str) -> S3Credential:
    key, secret, token = (os.environ.get(name, "") for name in _names(prefix))
    return credential(key, secret, token or None)


def _of_profile(profile: Mapping[str, str]) -> S3Credential:
    return credential(
        profile.get("aws_access_key_id", ""), profile.get("aws_secret_access_key", ""), profile.get("aws_session_token")
    )


def _of_command(command: str) -> S3Credential:
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, check=True, timeout=_COMMAND_S)
        told = json.loads(done.stdout)
        return credential(
            told["AccessKeyId"], told["SecretAccessKey"], told.get("SessionToken"), told.get("Expiration")
        )
    except Exception as error:  # its output may hold keys: only the kind of error is told
        raise StorageError(f"credential_process of the AWS profile failed: {type(error).__name__}") from None
