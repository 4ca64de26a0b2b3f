"""The commands of CMake that only compute: set, list, string, cmake_parse_arguments and paths."""

import posixpath
from collections.abc import Callable
from typing import Final

from vllm_forge.release.cmake_evaluator import Call, Handler, NotUnderstood
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_values import (
    compile_regex,
    join_list,
    natural_key,
    replace_regex,
    split_list,
)


def run_set(scope: Scope, call: Call) -> None:
    """`set(NAME value… [PARENT_SCOPE | CACHE type text [FORCE]])`; without a value it unsets."""
    if not call.words:
        return
    name, values = call.words[0], list(call.words[1:])
    if name.startswith("ENV{"):
        return
    if values and values[-1] == "PARENT_SCOPE":
        scope.set_in_parent(name, join_list(values[:-1]) if values[:-1] else None)
    elif "CACHE" in values:
        position = values.index("CACHE")
        if "FORCE" in values[position:] or name not in scope.cache:
            scope.cache[name] = join_list(values[:position])
    elif values:
        scope.set(name, join_list(values))
    else:
        scope.unset(name)


def run_unset(scope: Scope, call: Call) -> None:
    scope.unset(call.words[0])


def run_option(scope: Scope, call: Call) -> None:
    if scope.get(call.words[0]) is None:
        scope.cache[call.words[0]] = call.words[2] if len(call.words) > 2 else "OFF"  # noqa: PLR2004 -- option(NAME text value)


def run_list(scope: Scope, call: Call) -> None:
    if len(call.words) < 2:  # noqa: PLR2004 -- list(OPERATION NAME …)
        return
    operation, name, *rest = call.words
    values = split_list(scope.get(name) or "")
    if operation in LIST_CHANGES:
        scope.set(name, join_list(LIST_CHANGES[operation](values, rest)))
    elif operation == "GET":
        chosen = [values[int(n)] for n in rest[:-1] if -len(values) <= int(n) < len(values)]
        scope.set(rest[-1], join_list(chosen) or "NOTFOUND")
    elif operation == "LENGTH":
        scope.set(rest[-1], str(len(values)))
    elif operation == "JOIN":
        scope.set(rest[-1], rest[0].join(values))
    elif operation == "FIND":
        scope.set(rest[-1], str(values.index(rest[0]) if rest[0] in values else -1))
    else:
        raise NotUnderstood


def sort_list(values: list[str], rest: list[str]) -> list[str]:
    ordered = sorted(values, key=natural_key) if "NATURAL" in rest else sorted(values)
    return ordered[::-1] if "DESCENDING" in rest else ordered


def filter_list(values: list[str], rest: list[str]) -> list[str]:
    """`FILTER list INCLUDE|EXCLUDE REGEX pattern`."""
    include, pattern = rest[0] == "INCLUDE", compile_regex(rest[2])
    return [value for value in values if bool(pattern.search(value)) is include]


LIST_CHANGES: Final[dict[str, Callable[[list[str], list[str]], list[str]]]] = {
    "APPEND": lambda values, rest: values + rest,
    "PREPEND": lambda values, rest: rest + values,
    "REMOVE_ITEM": lambda values, rest: [value for value in values if value not in rest],
    "REMOVE_DUPLICATES": lambda values, _: list(dict.fromkeys(values)),
    "REVERSE": lambda values, _: values[::-1],
    "SORT": sort_list,
    "FILTER": filter_list,
}


def run_string(scope: Scope, call: Call) -> None:
    match call.words:
        case ["REGEX", *rest]:
            run_regex(scope, rest)
        case ["REPLACE", old, new, out, *texts]:
            scope.set(out, "".join(texts).replace(old, new))
        case ["FIND", text, part, out, *_]:
            scope.set(out, str(text.find(part)))
        case ["TOUPPER" | "TOLOWER" as case, text, out]:
            scope.set(out, text.upper() if case == "TOUPPER" else text.lower())
        case ["STRIP", text, out]:
            scope.set(out, text.strip())
        case ["LENGTH", text, out]:
            scope.set(out, str(len(text)))
        case ["JOIN", glue, out, *texts]:
            scope.set(out, glue.join(texts))
        case ["APPEND", out, *texts]:
            scope.set(out, (scope.get(out) or "") + "".join(texts))
        case _:
            raise NotUnderstood


def run_regex(scope: Scope, words: list[str]) -> None:
    match words:
        case ["REPLACE", pattern, replacement, out, *texts]:
            scope.set(out, replace_regex(pattern, replacement, "".join(texts)))
        case ["MATCH", pattern, out, *texts]:
            found = compile_regex(pattern).search("".join(texts))
            scope.set_matches(found)
            scope.set(out, found.group() if found else "")
        case ["MATCHALL", pattern, out, *texts]:
            matches = compile_regex(pattern).finditer("".join(texts))
            scope.set(out, join_list([match.group() for match in matches]))
        case _:
            raise NotUnderstood


def run_parse_arguments(scope: Scope, call: Call) -> None:
    """`cmake_parse_arguments(prefix options singles multiples args…)`, PARSE_ARGV form too."""
    words = list(call.words)
    if words[:1] == ["PARSE_ARGV"]:
        skipped, words = int(words[1]), words[2:]
        words = words[:4] + split_list(scope.get("ARGV") or "")[skipped:]
    prefix, *kinds = words[:4]
    options, singles, multiples = (split_list(kind) for kind in kinds)
    found: dict[str, list[str]] = {}
    keyword = ""
    for word in split_list(";".join(words[4:])):
        if word in options or word in singles or word in multiples:
            keyword = "" if word in options else word
            found[word] = ["TRUE"] if word in options else []
        elif keyword:
            found[keyword].append(word)
            keyword = keyword if keyword in multiples else ""
        else:
            found.setdefault("UNPARSED_ARGUMENTS", []).append(word)
    for name in (*options, *singles, *multiples, "UNPARSED_ARGUMENTS"):
        values = found.get(name) or (["FALSE"] if name in options else [])
        if values:
            scope.set(f"{prefix}_{name}", join_list(values))
        else:
            scope.unset(f"{prefix}_{name}")


def run_get_filename_component(scope: Scope, call: Call) -> None:
    out, path, mode = call.words[:3]
    base = scope.get("CMAKE_CURRENT_SOURCE_DIR") or "/"
    match mode:
        case "DIRECTORY" | "PATH":
            scope.set(out, posixpath.dirname(path))
        case "NAME":
            scope.set(out, posixpath.basename(path))
        case "NAME_WE":
            scope.set(out, posixpath.basename(path).partition(".")[0])
        case "ABSOLUTE" | "REALPATH":
            scope.set(out, posixpath.normpath(posixpath.join(base, path)))
        case _:
            raise NotUnderstood


def run_cmake_path(scope: Scope, call: Call) -> None:
    """`cmake_path(ABSOLUTE_PATH variable [BASE_DIRECTORY directory] [NORMALIZE])`."""
    match call.words:
        case ["ABSOLUTE_PATH", name, *rest]:
            source = scope.get("CMAKE_CURRENT_SOURCE_DIR") or "/"
            base = rest[rest.index("BASE_DIRECTORY") + 1] if "BASE_DIRECTORY" in rest else source
            scope.set(name, posixpath.normpath(posixpath.join(base, scope.get(name) or "")))
        case _:
            raise NotUnderstood


LANGUAGE: Final[dict[str, Handler]] = {
    "set": run_set,
    "unset": run_unset,
    "option": run_option,
    "list": run_list,
    "string": run_string,
    "cmake_parse_arguments": run_parse_arguments,
    "get_filename_component": run_get_filename_component,
    "cmake_path": run_cmake_path,
}
