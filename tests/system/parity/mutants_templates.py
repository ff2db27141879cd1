"""Mutants: environments of templates that do not await in one place, or not as they should."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any
from unittest import mock

from flask.templating import Environment as FlaskEnvironment
from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.runtime import Context as JinjaContext
from markupsafe import escape

from quartapp.flasklike import App
from quartapp.flasklike.templating import compiler, environment, rendering, values
from quartapp.flasklike.templating.compiler import AwaitingCodeGenerator
from quartapp.flasklike.templating.environment import Context, Environment, Template

MUTANTS: dict[str, type[App]] = {}


def mutant(rule: str, **attributes: Any) -> None:
    """Add an application whose environment has *attributes*, which break the rule."""
    mutated = type("Mutated", (Environment,), attributes)
    MUTANTS[rule] = type("MutatedApp", (App,), {"jinja_environment": mutated})


def generator(**attributes: Any) -> type[CodeGenerator]:
    return type("MutatedGenerator", (AwaitingCodeGenerator,), attributes)


def same(value: Any, *_: Any) -> Any:
    return value


mutant("attributes are awaited", getattr=FlaskEnvironment.getattr)
mutant("items are awaited", getitem=FlaskEnvironment.getitem)
mutant("calls are awaited", context_class=JinjaContext)
mutant(
    "filters are awaited", code_generator_class=generator(visit_Filter=CodeGenerator.visit_Filter)
)
mutant("tests are awaited", code_generator_class=generator(visit_Test=CodeGenerator.visit_Test))
mutant("filters that filters call are awaited", call_filter=FlaskEnvironment.call_filter)
mutant("tests that filters call are awaited", call_test=FlaskEnvironment.call_test)
mutant("what a call puts out is awaited", show=staticmethod(escape), context_class=JinjaContext)
mutant(
    "an attribute that is put out is awaited",
    show_attr=lambda self, obj, name: escape(self.attr(obj, name)),
)
mutant(
    "an attribute is awaited if the next one is not its own",
    item=FlaskEnvironment.getattr,
)
mutant("loops are asynchronous", iterated=staticmethod(same))
mutant(
    "what is in a list is awaited",
    iterated=staticmethod(
        lambda value, unpack=False: value if type(value) is list else values.iterated(value, unpack)
    ),
)
mutant(
    "what a loop unpacks is awaited",
    iterated=staticmethod(lambda value, unpack=False: values.iterated(value)),
)
mutant("what is in a container is awaited for `in`", contents=staticmethod(same))
mutant("what an assignment unpacks is awaited", unpacked=staticmethod(same))
mutant("what a call unpacks by name is awaited", unpacked_mapping=staticmethod(same))
mutant(
    "a recursive loop is asynchronous",
    code_generator_class=generator(buffer=CodeGenerator.buffer),
)


class WithoutUnpacking(AwaitingCodeGenerator):
    def _unpack_arguments(self, node: Any) -> None:
        pass


mutant("what a call unpacks is awaited", code_generator_class=WithoutUnpacking)


class Constant(AwaitingCodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:
        with mock.patch.object(compiler, "_as_const", lambda original, *args: original(*args)):
            super().visit_Template(node, frame)


mutant("a filter of a constant is awaited", code_generator_class=Constant)


class OwnAttributes(AwaitingCodeGenerator):
    def _attribute(self, node: nodes.Getattr, frame: Any) -> None:
        with mock.patch.object(compiler, "_OF_AWAITABLES", frozenset()):
            super()._attribute(node, frame)


mutant("attributes of coroutines are not meant", code_generator_class=OwnAttributes)


class Synchronous(Template):
    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        return self.render(*args, **kwargs)


mutant("a template is rendered where it can await", template_class=Synchronous)


class OwnContext(Template):
    """Renders in another context, as a thread or a task of its own would."""

    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        rendering_: Any = super().render_async(*args, **kwargs)
        return await asyncio.create_task(rendering_, context=contextvars.Context())


mutant("a template is rendered in the context of its request", template_class=OwnContext)


class OwnTask(Template):
    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        return await asyncio.create_task(super().render_async(*args, **kwargs))


mutant("the error that is handled is the active one in a template", template_class=OwnTask)


class SynchronousStream(Template):
    async def generate_async(self, *args: Any, **kwargs: Any) -> Any:
        for part in self.generate(*args, **kwargs):
            yield part


mutant("streams await", template_class=SynchronousStream)


class Swallowed(Context):
    def call(self, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().call(obj, *args, **kwargs)
        except Exception:  # noqa: BLE001  # the mutation
            return self.environment.undefined("the call failed")


mutant("the error of what is awaited leaves the template", context_class=Swallowed)


class VariablesAsTheyAre(App):
    async def handle_request(self, request: Any) -> Any:
        plain_: Callable[..., bool] = lambda variables: True  # noqa: E731
        with (
            mock.patch.object(rendering, "are_plain", plain_),
            mock.patch.object(environment, "are_plain", plain_),
        ):
            return await super().handle_request(request)


MUTANTS["variables are awaited"] = VariablesAsTheyAre
