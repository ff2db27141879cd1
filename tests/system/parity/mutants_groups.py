"""Mutants: exception groups, and several errors of teardown functions (docs/groups.md)."""

from typing import Any
from unittest.mock import patch

from quartapp.flasklike import App, dispatch, groups
from tests.system.parity.mutants import mutant


@mutant("an error in a group is handled as without the group")
class WholeGroups(App):
    async def handle_user_exception(self, error: Exception) -> Any:
        with patch.object(dispatch, "choose", lambda app, group, names: (group, [])):
            return await super().handle_user_exception(error)


@mutant("the worst error of a group is answered")
class FirstOfAGroup(App):
    async def handle_user_exception(self, error: Exception) -> Any:
        def first(app: Any, group: Any, names: Any) -> Any:
            return next(groups.leaves(app, group, names)), []

        with patch.object(dispatch, "choose", first):
            return await super().handle_user_exception(error)


@mutant("the handler of an error in a group sees it as the active one")
class GroupIsActive(App):
    async def _handle_leaf(self, error: Exception, group: Exception) -> Any:
        return await self.handle_user_exception(error)


@mutant("several server errors of a group are logged")
class QuietServerErrors(App):
    async def handle_user_exception(self, error: Exception) -> Any:
        def choose(*arguments: Any) -> Any:
            return groups.choose(*arguments)[0], []

        with patch.object(dispatch, "choose", choose):
            return await super().handle_user_exception(error)


@mutant("all teardown functions run")
class FirstTeardownErrorEnds(App):
    async def do_teardown_request(self, exc: Any, request_context: Any = None) -> None:
        names = [*request_context.request.blueprints, None]
        for name in names:
            for function in reversed(self.teardown_request_funcs.get(name, ())):
                await self.ensure_async(function)(exc)
        for name in names:
            self.teardown_request_funcs.pop(name, None)
        await super().do_teardown_request(exc, request_context)


@mutant("the errors of several teardown functions are a group")
class LastTeardownError(App):
    async def do_teardown_request(self, exc: Any, request_context: Any = None) -> None:
        try:
            await super().do_teardown_request(exc, request_context)
        except ExceptionGroup as group:
            raise group.exceptions[-1] from None
