"""What a Python build needs beside compilers: a version, Rust, build requirements."""

import re

from vllm_forge.diagnose.advice import install
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Signature, acts, kinds, pattern

BUILD_MODULES = (
    r"torch|setuptools_scm|setuptools_rust|packaging|wheel|ninja|cmake|numpy|Cython|pybind11"
    r"|grpc_tools|psutil|jinja2|setuptools"
)


SIGNATURES = (
    Signature(
        "scm-version-missing",
        kinds(Kind.EXCEPTION, Kind.FRONTEND, Kind.PLAIN),
        pattern(
            r"setuptools-scm was unable to detect version for '?(?P<folder>[^\s']+?)'?\.?(?=\s|$)"
        ),
        "setuptools-scm finds no git metadata in {folder} (an archive, a copy without .git, a"
        " shallow or"
        " foreign checkout) and so no version.",
        lambda _, scene: (
            (
                "export SETUPTOOLS_SCM_PRETEND_VERSION="
                f"{scene.clues.get('vllm') or 'X.Y.Z'}   # the"
                f" version of"
                " this source; then build again"
            ),
            "or build from a full git clone, or from the sdist with its PKG-INFO.",
        ),
        before=pattern(r"setuptools-scm|[Ee]rror"),
    ),
    Signature(
        "scm-version-missing",
        kinds(Kind.FRONTEND),
        pattern(r"detected dubious ownership in repository at '(?P<folder>[^']+)'"),
        "git refuses to read {folder}, which belongs to another user: setuptools-scm finds no"
        " version.",
        acts("git config --global --add safe.directory {folder}"),
    ),
    Signature(
        "rust-missing",
        kinds(Kind.FRONTEND, Kind.EXCEPTION, Kind.SHELL, Kind.PLAIN),
        pattern(
            r"can't find Rust compiler|Cargo, the Rust package manager, is not installed|Rust not"
            r" found, installing"
            r"|cargo: (?:command )?not found|No such file or directory: '(?:cargo|rustc)'"
            r"|Do you have cargo in your PATH|cargo not found|requires Rust and Cargo"
        ),
        "A package without a wheel for this Python and platform is compiled from source and needs"
        " Rust.",
        lambda _, scene: (
            "pip install --upgrade pip   # an old pip does not see newer wheels",
            "Use a Python for which wheels exist (3.10 to 3.12), or install Rust: "
            + install(scene, "cargo", "cargo")
            + ", or rustup where that is too old.",
        ),
        before=pattern(r"\S"),
    ),
    Signature(
        "rust-missing",
        kinds(Kind.FRONTEND, Kind.PLAIN),
        pattern(
            r"requires rustc (?P<wanted>[\d.]+) or newer, while the currently active rustc"
            r" version is (?P<have>[\d.]+)"
            r"|feature `(?P<edition>edition20\d\d)` is required"
        ),
        "The Rust here ({have}) is too old for a crate that wants {wanted}{edition}.",
        acts("rustup update stable   # the distribution's Rust is too old for this"),
        before=pattern(r"\S"),
    ),
    Signature(
        "build-dependency-missing",
        kinds(Kind.EXCEPTION),
        pattern(rf"ModuleNotFoundError: No module named '(?P<module>{BUILD_MODULES})'"),
        "The build needs {module}, which is not in the environment that builds: build isolation"
        " gives"
        " each build an environment of its own, and --no-build-isolation gives it nothing.",
        lambda names, _: (
            "pip install -r requirements/build.txt   # newer trees: requirements/build/cuda.txt"
            if names["module"] != "torch"
            else "Install torch first, then build with: pip install --no-build-isolation ...",
        ),
        also=re.compile(
            r"build_meta|setup\.py|pyproject_hooks|build_editable|get_requires_for_build|egg_info"
            r"|<string>.*line \d+, in <module>"
        ),
        unless=pattern(r"vllm/(?:entrypoints|engine|__init__)"),
    ),
    Signature(
        "build-dependency-missing",
        kinds(Kind.FRONTEND),
        pattern(r"error: invalid command 'bdist_wheel'"),
        "The build needs the package wheel, which is not in the environment that builds.",
        acts("pip install wheel setuptools   # or build without --no-build-isolation"),
    ),
    Signature(
        "build-dependency-missing",
        kinds(Kind.EXCEPTION, Kind.SHELL, Kind.FRONTEND),
        pattern(
            r"Cannot find CMake executable|No such file or directory: '(?:\S*/)?cmake'|(?:^"
            r"|[\s/])cmake: (?:command )?not found"
        ),
        "CMake is not on PATH.",
        acts("pip install 'cmake>=3.26.1' ninja && hash -r"),
    ),
)
