"""Reader of YAML with CloudFormation's short forms: `!Ref Name` becomes `{"Ref": "Name"}`.

Importing the SAM CLI's reader takes as long as all the rest of `make run`.
"""

from typing import Any

import yaml

_NAMES = {"Ref": "Ref", "Condition": "Condition"}


class _TemplateLoader(yaml.SafeLoader):
    """A safe loader with CloudFormation's tags."""


def load(text: str) -> Any:
    """Return the document.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return yaml.load(text, Loader=_TemplateLoader)  # noqa: S506 - the loader is a safe one # nosec B506


def _function(loader: _TemplateLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        argument: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    else:
        argument = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    return {_NAMES.get(name, f"Fn::{name}"): argument}


_TemplateLoader.add_multi_constructor("!", _function)
