"""The page's distribution, which has the API under the same host."""

from fnmatch import fnmatchcase

from local.gateway.template import read_template
from local.gateway.template_yaml import load
from local.toolchain import ROOT

# MCP clients compare the address that they called with the one in the metadata, so they use the API's own address.
NOT_UNDER_THE_PAGE = ("/mcp", "/.well-known/")


def test_every_route_is_passed_to_the_api_and_no_file_is() -> None:
    template = load((ROOT / "template.yaml").read_text(encoding="utf-8"))
    distribution = template["Resources"]["Page"]["Properties"]["DistributionConfig"]
    patterns = [behavior["PathPattern"] for behavior in distribution["CacheBehaviors"]]
    routes = {route.path for route in read_template(ROOT / "template.yaml").routes}
    under_the_page = {path for path in routes if not path.startswith(NOT_UNDER_THE_PAGE)}
    files = ["/" + path.relative_to(ROOT / "web").as_posix() for path in (ROOT / "web").rglob("*")]

    def is_passed_on(path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    assert [path for path in under_the_page if not is_passed_on(path)] == []
    assert [path for path in files if is_passed_on(path)] == []
