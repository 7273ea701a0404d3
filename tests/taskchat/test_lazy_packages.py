"""A package that is entered without its `__init__`, in a process of its own, and what asks for it all the same."""

from pathlib import Path

import pytest

from tests.support.fresh_process import result_of

INIT = """
from kit._tools import Hammer, Saw
from kit import heavy
VERSION = "1"
__all__ = ["Saw", "VERSION"]
"""
HOMES = {"kit": {"Hammer": "._tools", "Moved": "._tools", "Gone": "._gone"}}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Return a folder with a package whose `__init__` imports all that it has."""
    package = tmp_path / "kit"
    package.mkdir()
    (package / "__init__.py").write_text(f"{INIT}Moved, Gone = 'moved', 'gone'\n")
    (package / "_tools.py").write_text("class Hammer: pass\nclass Saw: pass\n")
    (package / "heavy.py").write_text("WEIGHT = 1\n")
    return tmp_path


def loaded_after(kit: Path, statements: str) -> list[str]:
    """Return which parts of the kit are loaded after statements, `init` for its `__init__`."""
    return sorted(
        result_of(f"""
import json, sys
sys.path.insert(0, {str(kit)!r})
from taskchat.lazy_packages import enter_without_init
enter_without_init({HOMES!r})
{statements}
kit = sys.modules["kit"]
print(json.dumps(
    [name for name in ("_tools", "heavy") if f"kit.{{name}}" in sys.modules] + ["init"] * ("VERSION" in vars(kit))
))""")
    )


@pytest.mark.parametrize(
    ("statements", "loaded"),
    [
        ("import kit", []),
        ("from kit import Hammer", ["_tools"]),
        ("import kit; kit.Hammer", ["_tools"]),
        ("from kit._tools import Saw", ["_tools"]),
        ("from kit import heavy; heavy.WEIGHT", ["heavy"]),
        ("import kit.heavy; kit.heavy.WEIGHT", ["heavy"]),
        ("import kit; kit.heavy.WEIGHT", ["heavy"]),
    ],
)
def test_only_what_is_asked_for_is_loaded(kit: Path, statements: str, loaded: list[str]) -> None:
    assert loaded_after(kit, statements) == loaded


@pytest.mark.parametrize(
    "statements",
    [
        "from kit import Saw",
        "import kit; assert kit.VERSION == '1'",
        "from kit import Hammer, VERSION; import kit; assert kit.Hammer is Hammer",
        "from kit import *; assert VERSION == '1'",
        "from kit import Moved; assert Moved == 'moved'",
        "from kit import Gone; assert Gone == 'gone'",
    ],
)
def test_what_has_no_home_or_has_left_it_runs_the_init(kit: Path, statements: str) -> None:
    assert loaded_after(kit, statements) == ["_tools", "heavy", "init"]


def test_a_name_that_the_package_does_not_have_is_said_to_be_missing(kit: Path) -> None:
    loaded_after(
        kit,
        """
try:
    from kit import Chisel
except ImportError as error:
    assert "Chisel" in str(error)
else:
    raise AssertionError
import kit
assert not hasattr(kit, "Chisel")""",
    )


def test_an_init_that_fails_says_why_each_time(kit: Path) -> None:
    (kit / "kit" / "heavy.py").write_text("raise RuntimeError('too heavy')")

    loaded_after(
        kit,
        """
for _ in range(2):
    try:
        from kit import VERSION
    except RuntimeError as error:
        assert str(error) == "too heavy"
    else:
        raise AssertionError""",
    )


def test_the_sdk_of_the_model_is_whole_for_whoever_wants_more_of_it() -> None:
    names = result_of("""
import json, functions.chat.app
import openai
from openai import AzureOpenAI
from openai.types.chat import ChatCompletion
print(json.dumps([openai.__version__ > "3", AzureOpenAI.__name__, ChatCompletion.__name__, openai.OpenAI.__name__]))""")

    assert names == [True, "AzureOpenAI", "ChatCompletion", "OpenAI"]
