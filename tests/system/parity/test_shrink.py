from tests.system.parity.generate import generate
from tests.system.parity.shrink import shrink
from tests.system.parity.specification import Function, Handler, Hook, Scope, Spec, Step


async def has_a_handler_of_404(spec: Spec) -> bool:
    return any(handler.key == "404" for scope in spec.scopes for handler in scope.handlers)


async def first_specification_with_a_handler_of_404() -> Spec:
    for spec in map(generate, range(1000)):
        if await has_a_handler_of_404(spec):
            return spec
    raise AssertionError("none was generated")


async def test_keeps_only_what_makes_it_fail() -> None:
    spec = await first_specification_with_a_handler_of_404()
    smallest = await shrink(spec, has_a_handler_of_404)
    assert await has_a_handler_of_404(smallest)
    assert sum(len(scope.handlers) for scope in smallest.scopes) == 1
    assert len(smallest.scopes) <= 2
    assert [*smallest.requests, *smallest.config, *smallest.receivers] == []


async def test_moves_blueprints_up_when_their_parent_goes() -> None:
    inner = Scope(name="bp2", parent=1, hooks=(Hook("after_request"),))
    spec = Spec(scopes=(Scope(), Scope(name="bp1"), inner))

    async def has_a_hook(candidate: Spec) -> bool:
        return any(scope.hooks for scope in candidate.scopes)

    smallest = await shrink(spec, has_a_hook)
    assert [scope.name for scope in smallest.scopes] == ["app", "bp2"]
    assert smallest.scopes[1].parent == 0


async def test_gives_up_after_the_attempts_allowed() -> None:
    steps = tuple(Step("read", "g") for _ in range(9))
    spec = Spec(scopes=(Scope(handlers=(Handler(function=Function(steps)),)),))
    calls = 0

    async def has_a_step(candidate: Spec) -> bool:
        nonlocal calls
        calls += 1
        return "Step" in repr(candidate)

    await shrink(spec, has_a_step, attempts=3)
    assert calls == 3
