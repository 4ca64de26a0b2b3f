"""One statement that is reached: what it names, imports and tests."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Final

from vllm_forge.release.python_syntax import FunctionNode, constant_string
from vllm_forge.release.reaching.python_decorators import only_wraps
from vllm_forge.release.reaching.python_module import (
    Bindings,
    PythonModule,
    dotted,
    has_call,
    is_outside,
)
from vllm_forge.release.reaching.python_names import PACKAGE, Definition, Found
from vllm_forge.release.reaching.python_tests import INSTANCE, Guards, truth, when_false, when_true
from vllm_forge.release.reaching.python_walk import ANY, ATTRIBUTE, Key, Walk

OPERATORS: Final = "torch.ops."
DOTTED: Final = re.compile(r"vllm(\.\w+)+(:\w+)?")
BEGINS: Final = re.compile(r"vllm(\.\w+)*\.")
OPERATOR: Final = re.compile(r"(\w+)::(\w+)")
ENDS: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
REGISTERS_OPERATOR: Final = "direct_register_custom_op"
"""vLLM's own: makes `torch.ops.vllm.NAME` call a Python function."""


def visit(
    walk: Walk, module: PythonModule, definition: Definition | None, statement: ast.stmt
) -> None:
    """A statement of `definition`, or one that runs when the module is imported (None)."""
    visitor = Visitor(walk, module, f"{module.path}:{statement.lineno}", statement)
    if definition is None:
        visitor.at_import(statement)
        return
    visitor.choosing = definition == walk.cuts.chooser
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        if statement.value is not None:
            visitor.expression(statement.value)
    else:
        visitor.statement(statement)


class Visitor:
    """`guards` are the classes that must have been made for the place that is visited."""

    def __init__(self, walk: Walk, module: PythonModule, place: str, around: ast.stmt) -> None:
        self._walk = walk
        self._module = module
        self._place = place
        self._guards: Guards = ()
        self._local: Bindings = defaultdict(list)
        self._members: frozenset[str] = frozenset()
        self._as_member = False
        self.choosing = False
        for node in ast.walk(around):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module.bind(node, self._local)

    # What runs at import ---------------------------------------------------------------------

    def at_import(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not all(self._only_wraps(one) for one in statement.decorator_list):
                    self._walk.reach(Definition(self._module.name, statement.name), self._place)
            case ast.Assign() | ast.AnnAssign():
                if statement.value is not None and has_call(statement.value):
                    self.expression(statement.value)
            case ast.If(test=test, body=body, orelse=orelse):
                self.expression(test)
                held = truth(test, self._walk.known)
                for inner in () if held is False else body:
                    self.at_import(inner)
                for inner in () if held is True else orelse:
                    self.at_import(inner)
            case _:
                self.statement(statement)

    def _only_wraps(self, decorator: ast.expr) -> bool:
        """Whether the decorator, read in the tree, leaves what it decorates alone."""
        if is_outside(decorator):
            return True
        name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
        found = self._walk.names.chain(self._module.name, name, self._local) if name else ()
        return bool(found) and all(self._reads_harmless(decorator, one) for one in found)

    def _reads_harmless(self, decorator: ast.expr, found: Found) -> bool:
        there = self._walk.names.module(found.module) if isinstance(found, Definition) else None
        if there is None or not isinstance(found, Definition):
            return False

        def find(called: str) -> FunctionNode | None:
            functions = [one for one in there.definitions[called] if isinstance(one, FunctionNode)]
            return functions[-1] if functions else None

        return only_wraps(decorator, there.definitions[found.name], find)

    # Statements ------------------------------------------------------------------------------

    def block(self, body: Iterable[ast.stmt]) -> None:
        before = self._guards
        for statement in body:
            if self.statement(statement):
                break
        self._guards = before

    def statement(self, statement: ast.stmt) -> bool:  # noqa: C901 -- a table
        """True when nothing after it in its block is reached."""
        match statement:
            case ast.If():
                return self._if(statement)
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(statement)
            case ast.ClassDef(decorator_list=decorators, bases=bases, keywords=keywords):
                for one in (*decorators, *bases, *(keyword.value for keyword in keywords)):
                    self.expression(one)
                self.block(statement.body)
            case ast.AnnAssign(value=value):
                if value is not None:
                    self.expression(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in self._members:
                self._member(value)
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=ast.Call() as call) if _last(call.func) == REGISTERS_OPERATOR:
                self._registration(call)
            case _:
                self._children(statement)
        return False

    def _if(self, statement: ast.If) -> bool:
        held = truth(statement.test, self._walk.known)
        self.expression(statement.test)
        before = self._guards
        if held is not False:
            self._guards = (*before, *when_true(statement.test, self._find))
            self.block(statement.body)
        self._guards = (*before, *when_false(statement.test, self._find))
        if held is not True:
            self.block(statement.orelse)
        leaves = isinstance(statement.body[-1], ENDS)
        if not leaves:
            self._guards = before
        return leaves and held is True

    def _function(self, function: FunctionNode) -> None:
        arguments = function.args
        defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one)]
        for one in (*function.decorator_list, *defaults):
            self.expression(one)
        before, self._members = self._members, only_members(function)
        self.block(function.body)
        self._members = before

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            modules = [alias.name for alias in statement.names]
        else:
            base = self._module.absolute(statement)
            inner = [f"{base}.{alias.name}" for alias in statement.names]
            modules = [base, *(one for one in inner if self._walk.names.module(one) is not None)]

        def act() -> None:
            for module in modules:
                self._walk.import_module(module, self._place)

        self._walk.when(self._guards, act)

    def _registration(self, call: ast.Call) -> None:
        """Its function is reached when the operator is used."""
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        name = constant_string(named.get("op_name") or (call.args[0] if call.args else None))

        def act() -> None:
            for one in (*call.args, *named.values()):
                self.expression(one)

        if name is None:
            act()
        else:
            self._walk.sleep(Key(PACKAGE, name), act)

    def _children(self, node: ast.AST) -> None:
        blocks: dict[int, list[ast.stmt]] = {}
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                blocks[id(value)] = value
        for block in blocks.values():
            self.block(block)
        inside = {id(one) for block in blocks.values() for one in block}
        for inner in ast.iter_child_nodes(node):
            if id(inner) in inside:
                continue
            if isinstance(inner, ast.expr):
                self.expression(inner)
            elif isinstance(inner, ast.stmt):
                self.statement(inner)
            else:  # a handler, a with item, a match case, a comprehension, a keyword, a pattern
                self._children(inner)

    # Expressions -----------------------------------------------------------------------------

    def expression(self, node: ast.expr) -> None:
        match node:
            case ast.Name() | ast.Attribute():
                self._name(node)
            case ast.Constant(value=str(text)):
                self._string(text)
            case ast.JoinedStr(values=values):
                self._formatted(values)
            case ast.Call():
                self._call(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self._branches(test, body, orelse)
            case ast.BoolOp():
                self._operands(node)
            case ast.Compare(left=left, ops=operations, comparators=right):
                self._compare(left, operations, right)
            case _:
                self._children(node)

    def _name(self, node: ast.Name | ast.Attribute) -> None:
        if isinstance(node, ast.Attribute):
            key = Key(ATTRIBUTE, node.attr)
            self._walk.when(self._guards, lambda: self._walk.use(key, self._place))
        parts = dotted(node)
        if parts is None:
            if isinstance(node, ast.Attribute):
                self.expression(node.value)
            return
        if parts[0] in {"self", "cls"}:
            return
        for found in self._walk.names.chain(self._module.name, parts, self._local):
            if isinstance(found, Definition):
                self._definition(found)
            elif found.startswith(OPERATORS):
                self._operator(*found.removeprefix(OPERATORS).split("."))

    def _definition(self, found: Definition) -> None:
        if self._as_member and self._is_plain(found):
            return
        if self.choosing and found.name in self._walk.cuts.not_made:
            return
        self._walk.when(self._guards, lambda: self._walk.reach(found, self._place))

    def _is_plain(self, found: Definition) -> bool:
        """A class, or a variable that holds what was written down and nothing that was computed."""
        module = self._walk.names.module(found.module)
        return module is not None and all(
            isinstance(one, ast.ClassDef)
            or (isinstance(one, ast.Assign | ast.AnnAssign) and not has_call(one))
            for one in module.definitions[found.name]
        )

    def _operator(self, space: str, name: str = ANY, *_: str) -> None:
        """`torch.ops.SPACE.NAME`, whatever is taken of it."""
        key = Key(space, name)
        self._walk.when(self._guards, lambda: self._walk.use(key, self._place))

    def _call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[value, _]) if name in INSTANCE:
                self.expression(value)
            case ast.Call(func=ast.Name(id="cast") | ast.Attribute(attr="cast"), args=[_, value]):
                self.expression(value)
            case ast.Call(func=ast.Name(id="hasattr"), args=[value, _]):
                if self._space(value) is None:
                    self.expression(value)
            case ast.Call(func=ast.Name(id="getattr"), args=[value, name, *rest]) if (
                space := self._space(value)
            ):
                self._operator(space, constant_string(name) or ANY)
                for one in rest:
                    self.expression(one)
            case _:
                self._children(node)

    def _space(self, node: ast.expr) -> str | None:
        """`_C` of `torch.ops._C`."""
        name = ".".join(dotted(node) or ())
        return name.removeprefix(OPERATORS) if name.startswith(OPERATORS) else None

    def _branches(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> None:
        held = truth(test, self._walk.known)
        self.expression(test)
        before = self._guards
        if held is not False:
            self._guards = (*before, *when_true(test, self._find))
            self.expression(body)
        if held is not True:
            self._guards = (*before, *when_false(test, self._find))
            self.expression(orelse)
        self._guards = before

    def _operands(self, node: ast.BoolOp) -> None:
        """Each is evaluated only where those before it let it be."""
        before = self._guards
        conjunction = isinstance(node.op, ast.And)
        for value in node.values:
            self.expression(value)
            if truth(value, self._walk.known) is (not conjunction):
                break
            implied = when_true if conjunction else when_false
            self._guards = (*self._guards, *implied(value, self._find))
        self._guards = before

    def _compare(self, left: ast.expr, operations: list[ast.cmpop], right: list[ast.expr]) -> None:
        """`type(x) is Class` and `x in Classes` make nothing."""
        self.expression(left)
        compares_types = isinstance(left, ast.Call) and _last(left.func) == "type"
        for operation, one in zip(operations, right, strict=True):
            if isinstance(operation, ast.In | ast.NotIn):
                self._member(one)
            elif not compares_types:
                self.expression(one)

    def _member(self, node: ast.expr) -> None:
        before, self._as_member = self._as_member, True
        self.expression(node)
        self._as_member = before

    def _find(self, node: ast.expr) -> frozenset[Definition]:
        parts = dotted(node)
        found = self._walk.names.chain(self._module.name, parts, self._local) if parts else ()
        definitions = frozenset(one for one in found if isinstance(one, Definition))
        return definitions if len(definitions) == len(found) else frozenset()

    # Strings ---------------------------------------------------------------------------------

    def _formatted(self, values: list[ast.expr]) -> None:
        """`f"vllm.models.{name}"` may be any module there."""
        for value in values:
            match value:
                case ast.Constant(value=str(text)) if BEGINS.fullmatch(text):
                    if self._module.name not in self._walk.cuts.silent:
                        self._everything_in(text.rstrip("."))
                case ast.FormattedValue(value=inner):
                    self.expression(inner)
                case _:
                    continue

    def _everything_in(self, package: str) -> None:
        def act() -> None:
            for module in self._walk.names.inside(package):
                self._walk.reach_module(module, self._place)

        self._walk.when(self._guards, act)

    def _string(self, text: str) -> None:
        if self._module.name in self._walk.cuts.silent:
            return
        for space, name in OPERATOR.findall(text) if "::" in text else ():
            self._operator(space, name)
        path = text.replace(":", ".")
        if not DOTTED.fullmatch(text) or path.startswith(self._walk.cuts.other_platforms):
            return
        if self._walk.names.module(path) is not None:
            self._walk.when(self._guards, lambda: self._walk.reach_module(path, self._place))
            return
        module, _, name = path.rpartition(".")
        for found in self._walk.names.resolve(module, name):
            if isinstance(found, Definition):
                self._walk.when(self._guards, partial(self._walk.reach, found, self._place))


def only_members(function: FunctionNode) -> frozenset[str]:
    """Local names that are only ever the right side of `in`."""
    loads: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                loads[name] += 1
            case ast.Compare(ops=operations, comparators=right):
                for operation, one in zip(operations, right, strict=True):
                    if isinstance(operation, ast.In | ast.NotIn) and isinstance(one, ast.Name):
                        inside[one.id] += 1
            case _:
                continue
    return frozenset(name for name in inside if inside[name] == loads[name])


def _last(node: ast.expr) -> str:
    return (dotted(node) or ("",))[-1]
