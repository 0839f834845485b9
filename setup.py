"""The one compiled module, which is optional: without a compiler or libjpeg-turbo's headers, all else is installed.

On Debian and Ubuntu the headers come with `libjpeg-dev`.
"""

from setuptools import Extension, setup

ABI = {"hex": "0x030B0000", "tag": "cp311"}  # requires-python: one build serves all of them

setup(
    ext_modules=[
        Extension(
            "loaders.decoding._jpeg",
            ["loaders/decoding/_jpeg.c"],
            libraries=["jpeg"],
            define_macros=[("Py_LIMITED_API", ABI["hex"])],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": ABI["tag"]}},
)
