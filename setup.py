"""The compiled modules, which are optional: what cannot be compiled here is left out, and all else is installed.

`_jpeg` needs libjpeg-turbo's headers, which on Debian and Ubuntu come with `libjpeg-dev`; `_png` a compiler alone.
"""

from setuptools import Extension, setup

ABI = {"hex": "0x030B0000", "tag": "cp311"}  # requires-python: one build serves all of them


def optional(name: str, libraries: list[str]) -> Extension:
    """Return the module of one C file."""
    return Extension(
        f"loaders.decoding.{name}",
        [f"loaders/decoding/{name}.c"],
        libraries=libraries,
        define_macros=[("Py_LIMITED_API", ABI["hex"])],
        py_limited_api=True,
        optional=True,
    )


setup(
    ext_modules=[optional("_jpeg", ["jpeg"]), optional("_png", [])],
    options={"bdist_wheel": {"py_limited_api": ABI["tag"]}},
)
