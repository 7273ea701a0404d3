"""Packages that are entered without running their `__init__`, for as long as nobody asks for what only it has.

Before any module of a package Python runs the package's `__init__`, and that of an SDK imports all that the SDK can do.
`importlib.util.LazyLoader` is no help: to import a module of a package is to look at the package, which loads it.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_PUBLIC = ("__all__", "__version__")
Homes = Mapping[str, str]
"""The public names of a package that are used, each with the module that defines it, relative to the package."""


def enter_without_init(packages: Mapping[str, Homes]) -> None:
    """Leave out the `__init__` of these packages, which nobody has imported yet.

    `from package import name` finds a name at its home. Any other name that is asked for, or one that has left its
    home, runs the `__init__`: what a new version of the package moves is slower from then on, and not broken. That is
    for one thread, as while a function is imported: another one may meet a package whose `__init__` is under way.
    """
    sys.meta_path.insert(0, _Finder(packages))


class _Finder(MetaPathFinder):
    def __init__(self, packages: Mapping[str, Homes]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        homes = self._packages.get(fullname)
        spec = None if homes is None else PathFinder.find_spec(fullname, path, target)
        if homes is not None and spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, homes)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, homes: Homes) -> None:
        super().__init__(fullname, path)
        self.homes = homes

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the `__init__` out."""

    def run_init(self, module: ModuleType) -> None:
        super().exec_module(module)


class _Package(ModuleType):
    """A package before its `__init__` has run; what it lacks is looked for here (PEP 562 says it of a function)."""

    def __getattr__(self, name: str) -> object:
        loader = self.__spec__.loader if self.__spec__ else None
        # Others look through all modules for names of their own, such as `__warningregistry__`, that none of these has.
        if not isinstance(loader, _Loader) or (name.startswith("__") and name not in _PUBLIC):
            raise AttributeError(f"{self.__name__} has no {name}")
        if (found := self._at_home(loader.homes, name)) is None:
            self._run_init(loader)
            return getattr(self, name)
        setattr(self, name, found)
        return found

    def _run_init(self, loader: _Loader) -> None:
        self.__class__ = ModuleType  # type: ignore[assignment]
        try:
            loader.run_init(self)
        except BaseException:
            self.__class__ = _Package
            raise

    def _at_home(self, homes: Homes, name: str) -> object:
        if PathFinder.find_spec(f"{self.__name__}.{name}", self.__path__):
            return importlib.import_module(f"{self.__name__}.{name}")
        if name not in homes:
            return None
        try:
            return getattr(importlib.import_module(homes[name], self.__name__), name, None)
        except ModuleNotFoundError:
            return None
