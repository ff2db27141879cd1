import json
import sys
from pathlib import Path
from types import CodeType, TracebackType

import pytest
import quart

from quartapp.redact import chain
from quartapp.redact import places as places_module
from quartapp.redact.chain import calls
from quartapp.redact.places import Place, Places
from quartapp.redact.traceback import Frame


def place(name: str, *, in_app: bool) -> Place:
    return Place(name, in_app, identity=name)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "microblog")


def test_code_below_the_root_is_the_applications(places: Places, tmp_path: Path) -> None:
    file = str(tmp_path / "microblog" / "web" / "posts.py")
    assert places.of(file) == place("microblog/web/posts.py", in_app=True)


def test_the_parts_of_this_package_are_libraries(places: Places) -> None:
    assert places.of(chain.__file__) == place("quartapp/redact/chain.py", in_app=False)


def test_an_included_folder_is_the_applications_wherever_it_is(
    places: Places, tmp_path: Path
) -> None:
    installed = tmp_path / "microblog" / ".venv" / "site-packages" / "quartapp" / "breakit"
    places.include(str(installed))

    assert places.of(str(installed / "views.py")) == place("breakit/views.py", in_app=True)
    assert not places.of(str(installed.parent / "errors" / "site.py")).in_app


def test_an_application_next_to_the_parts_is_named_by_its_import_path(tmp_path: Path) -> None:
    root = tmp_path / "house" / "shop"
    root.mkdir(parents=True)
    for folder in (root, root.parent):
        (folder / "__init__.py").touch()
    places = Places(root, name="house")

    found = places.of(str(root / "web" / "posts.py"))

    assert found == Place("house/shop/web/posts.py", in_app=True, identity="house/web/posts.py")
    assert places.above == tmp_path
    assert places.inner("house.shop.web.posts") == "web.posts"


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_packages_below_the_root_are_libraries(places: Places, tmp_path: Path, folder: str) -> None:
    file = str(tmp_path / "microblog" / ".venv" / "lib" / folder / "quart" / "app.py")
    assert places.of(file) == place("quart/app.py", in_app=False)


def test_an_application_installed_as_a_package_is_still_one(tmp_path: Path) -> None:
    root = tmp_path / "site-packages" / "microblog"
    assert Places(root).of(str(root / "app.py")) == place("microblog/app.py", in_app=True)


def test_the_standard_library_and_packages_are_libraries(places: Places) -> None:
    assert places.of(json.__file__) == place("json/__init__.py", in_app=False)
    assert places.of(quart.__file__) == place("quart/__init__.py", in_app=False)
    assert not places.of("<frozen importlib._bootstrap>").in_app
    assert not places.of("<string>").in_app
    assert not places.of("").in_app


def test_a_script_elsewhere_is_named_from_the_import_path(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "scripts"))
    file = str(tmp_path / "scripts" / "jobs" / "nightly.py")
    assert places.of(file) == place("jobs/nightly.py", in_app=True)
    monkeypatch.setattr(sys, "path", [])
    assert places.of(str(tmp_path / "elsewhere" / "x.py")) == place("x.py", in_app=True)


def test_the_number_of_remembered_files_is_bounded(places: Places) -> None:
    for number in range(5000):
        places.of(f"<generated {number}>")
    assert len(places._places) <= 4096


def raised_by(code: CodeType, module: str = "a") -> TracebackType:
    with pytest.raises(ZeroDivisionError) as caught:
        exec(code, {"__name__": module})
    *_, last = calls(caught.value.__traceback__)
    return last


def test_a_call_knows_its_line_each_time(places: Places) -> None:
    source = "if __name__ == 'a':\n    1 / 0\nelse:\n    1 / 0"
    code = compile(source, "/app/lines.py", "exec")
    for _ in range(2):
        for module, line in (("a", 2), ("b", 4)):
            call = places.call(raised_by(code, module))
            assert call == Frame("lines.py", "", "<module>", line, in_app=True)


@pytest.mark.parametrize("file", ["/app/lines.py", "<generated>"])
def test_generated_code_without_line_numbers_is_on_line_0(places: Places, file: str) -> None:
    code = compile("1 / 0", file, "exec").replace(co_linetable=b"")
    assert places.call(raised_by(code)).line == 0


def test_code_at_the_address_of_other_code_is_not_mistaken_for_it(places: Places) -> None:
    for number in range(200):  # each at the address of its predecessor, which was freed
        code = compile("\n" * number + "1 / 0", f"/app/{number}.py", "exec")
        call = places.call(raised_by(code))
        assert (call.file, call.line) == (f"{number}.py", number + 1)
        del code, call


def test_code_without_a_file_is_named_by_the_module_it_runs_in(places: Places) -> None:
    code = compile("1 / 0", "<generated>", "exec")
    for module in ("a", "b"):
        assert places.call(raised_by(code, module)) == Frame("<generated>", module, "<module>", 1)


def test_calls_are_remembered_within_bounds(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "_REMEMBERED", 10)
    for number in range(50):
        places.call(raised_by(compile("1 / 0", f"/app/{number}.py", "exec")))
        assert len(places._calls) <= 10
