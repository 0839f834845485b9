"""Options of Label Studio's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.errors import ConfigError
from lakehouse.names import nearest
from lakehouse.opinions.formats.common import CommonOptions
from schemas.opinions import VALUE_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudioOptions(CommonOptions):
    """Options of Label Studio's JSON.

    Attributes:
        controls: Control (`from_name`) -> question. A file with one control answers `question`; of several each is
            the question `question.control`, unless it is named here.
        kinds: Control -> value_kind of its answers, where the file alone cannot tell: a choice that allows several
            is `labels`, and looks like `label` as long as everybody takes one.
        empty: value_kind of an annotation without any result in a file that holds none: regions or spans; "" rejects
            it.
        data_key: Key of the task's data that names the subject; "": the only one that holds a text.
        text_key: Key of the task's data that holds the text itself, for spans; "" takes `text`. With subject_kind =
            text and no data_key the subject is the thing of exactly these bytes in UTF-8.
        actor_prefix: Put before the number of who answered (`completed_by`); kind:name is what an actor is.
        users: Number or e-mail of an annotator -> actor, for example 7 -> human:ada.
        model: Name of the model whose `model_version` names only a version; `name@version` in it names both.
        drafts: Whether drafts are answers too, in the slot `draft`; else their number is noted.
        keep_raw: Keep the task and the annotation in `raw_json`: with it, an export writes them back as they were.
    """

    controls: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    empty: str = ""
    data_key: str = ""
    text_key: str = ""
    actor_prefix: str = "human:labelstudio-"
    users: Mapping[str, str] = field(default_factory=dict)
    model: str = "labelstudio"
    drafts: bool = False
    keep_raw: bool = True

    def __post_init__(self) -> None:
        for control, kind in self.kinds.items():
            if kind not in VALUE_COLUMNS:
                raise ConfigError(f"labelstudio: kinds.{control} = {kind!r}{nearest(kind, VALUE_COLUMNS)}")
        if self.empty not in ("", "regions", "spans"):
            raise ConfigError(f"labelstudio: empty must be regions or spans, found {self.empty!r}")
